// The four files of configs/data/mnist, byte for byte, as read-only data of the program (trainer/mnist.h).
        .section .rodata

.macro  embed name, file
        .balign 16
        .globl  elbow_mnist_\name
        .hidden elbow_mnist_\name
elbow_mnist_\name:
        .incbin "\file"
        .globl  elbow_mnist_\name\()_end
        .hidden elbow_mnist_\name\()_end
elbow_mnist_\name\()_end:
.endm

        embed   train_images, "train-images-idx3-ubyte.gz"
        embed   train_labels, "train-labels-idx1-ubyte.gz"
        embed   test_images, "t10k-images-idx3-ubyte.gz"
        embed   test_labels, "t10k-labels-idx1-ubyte.gz"

        .section .note.GNU-stack, "", %progbits

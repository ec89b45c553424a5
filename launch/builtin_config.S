// The text of configs/kl_vae.cfg inside the program: what `elbow train` uses where no configuration file is given.
        .section .rodata
        .global elbow_builtin_config_begin
        .global elbow_builtin_config_end
elbow_builtin_config_begin:
        .incbin "configs/kl_vae.cfg"
elbow_builtin_config_end:
        .byte 0
        .section .note.GNU-stack, "", %progbits

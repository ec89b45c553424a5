#include "trainer/mnist.h"

#include <vector>

#include "trainer/sha256.h"

extern "C" {
extern const uint8_t elbow_mnist_train_images[], elbow_mnist_train_images_end[];
extern const uint8_t elbow_mnist_train_labels[], elbow_mnist_train_labels_end[];
extern const uint8_t elbow_mnist_test_images[], elbow_mnist_test_images_end[];
extern const uint8_t elbow_mnist_test_labels[], elbow_mnist_test_labels_end[];
}

namespace elbow::trainer {
namespace {

struct KnownFile {
  std::vector<int64_t> shape;
  const char* sha256;           // of the plain IDX file
  const char* sha256_embedded;  // of the gzip file in configs/data/mnist
};

// In the order of MnistFile.
const std::array<KnownFile, 4>& known_files() {
  static const std::array<KnownFile, 4> files = {{
      {{60000, 28, 28},
       "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
       "71524e2cd1ad2968737f7f2f2ff69cbfc32df8ccddff51593f7cb2d4e0eb5b64"},
      {{60000},
       "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
       "fe03b8bd7915f70bf5aa08be480aa413fbd85afcaa58b35d230d335f284fd88e"},
      {{10000, 28, 28},
       "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
       "5634745efa576a17e7d4cf5cd9d09123c75e6538e5114267c2d156edaf519341"},
      {{10000},
       "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
       "ae18e77e031ccde52407f794d123116439864147d33ac992975f85dd4dc42af6"},
  }};
  return files;
}

}  // namespace

std::span<const uint8_t> embedded_mnist(MnistFile file) {
  switch (file) {
    case kTrainImages:
      return {elbow_mnist_train_images, elbow_mnist_train_images_end};
    case kTrainLabels:
      return {elbow_mnist_train_labels, elbow_mnist_train_labels_end};
    case kTestImages:
      return {elbow_mnist_test_images, elbow_mnist_test_images_end};
    case kTestLabels:
      return {elbow_mnist_test_labels, elbow_mnist_test_labels_end};
  }
  return {};
}

std::string known_mnist_name(const IdxArray& array) {
  for (size_t i = 0; i < known_files().size(); ++i) {
    const KnownFile& known = known_files()[i];
    if (array.shape != known.shape) continue;
    if (array.sha256 == known.sha256_embedded || array.sha256 == known.sha256 ||
        sha256_unpacked(array) == known.sha256) {
      return std::string("MNIST ") + kMnistFileNames[i];
    }
  }
  return "";
}

}  // namespace elbow::trainer

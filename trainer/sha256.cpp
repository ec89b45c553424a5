#include "trainer/sha256.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace elbow::trainer {
namespace {

void check(int result) {
  if (result != 1) throw std::runtime_error("OpenSSL cannot compute SHA-256 on this machine");
}

EVP_MD_CTX* typed(const auto& context) { return static_cast<EVP_MD_CTX*>(context.get()); }

}  // namespace

void Sha256::Free::operator()(void* context) const {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context));
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr);
  check(EVP_DigestInit_ex(typed(context_), EVP_sha256(), nullptr));
}

void Sha256::add(std::span<const uint8_t> bytes) {
  check(EVP_DigestUpdate(typed(context_), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
  std::array<uint8_t, 32> digest;
  check(EVP_DigestFinal_ex(typed(context_), digest.data(), nullptr));
  std::string text;
  for (const uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256(std::span<const uint8_t> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

}  // namespace elbow::trainer

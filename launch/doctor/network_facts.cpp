#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <memory>

#include "launch/doctor/host_facts.h"

namespace elbow::launch::doctor {
namespace {

namespace fs = std::filesystem;

std::string address_text(const sockaddr* address, const sockaddr* mask) {
  std::array<char, INET_ADDRSTRLEN> text{};
  const auto* internet = reinterpret_cast<const sockaddr_in*>(address);
  inet_ntop(AF_INET, &internet->sin_addr, text.data(), text.size());
  const auto* bits = reinterpret_cast<const sockaddr_in*>(mask);
  return fmt::format("{}/{}", text.data(),
                     bits == nullptr ? 32 : std::popcount(bits->sin_addr.s_addr));
}

int64_t mtu_of(const std::string& interface) {
  std::ifstream in("/sys/class/net/" + interface + "/mtu");
  int64_t mtu = 0;
  in >> mtu;
  return mtu;
}

std::vector<Interface> interfaces() {
  std::vector<Interface> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    const bool up = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!up || one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    found.push_back({.name = one->ifa_name,
                     .address = address_text(one->ifa_addr, one->ifa_netmask),
                     .mtu = mtu_of(one->ifa_name)});
  }
  return found;
}

// Devices of which a port says "4: ACTIVE".
std::vector<std::string> fabrics() {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& device : fs::directory_iterator("/sys/class/infiniband", none)) {
    for (const auto& port : fs::directory_iterator(device.path() / "ports", none)) {
      std::ifstream in(port.path() / "state");
      std::string state;
      std::getline(in, state);
      if (state.find("ACTIVE") == std::string::npos) continue;
      found.push_back(device.path().filename());
      break;
    }
  }
  return found;
}

}  // namespace

NetworkFacts network_facts() { return {.interfaces = interfaces(), .fabrics = fabrics()}; }

}  // namespace elbow::launch::doctor

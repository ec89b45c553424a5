// Strings over a Communicator: small, rare messages such as the configuration or every rank's host
// name.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.h"

namespace elbow::comm {

// Every rank calls these, in the same order. The bytes arrive unchanged, zeros included.
std::string broadcast_text(Communicator& ranks, std::string text,
                           int root);  // root's text, on every rank
std::vector<std::string> gather_texts(Communicator& ranks,
                                      const std::string& text);  // [size()], on every rank

}  // namespace elbow::comm

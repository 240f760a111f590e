#pragma once
// Nft: runs nft commands in this process (libnftables). One transaction per run, atomic in the
// kernel. Blocks: use it on `blocking`, one caller at a time. It acts on the namespace of the
// calling thread.
#include <memory>
#include <string>

#include "runtime/network/services/rules.h"

namespace moth::network {

class Nft {
 public:
  virtual ~Nft() = default;
  // The error carries nft's own text.
  virtual Result<> run(const std::string& commands) = 0;
  virtual Result<ExistingTable> inspect(const std::string& table) = 0;
};

// The kernel's. The socket is opened in the namespace of the thread that first runs something.
std::unique_ptr<Nft> make_kernel_nft();

}  // namespace moth::network

#pragma once
// SHA-256, incremental.
#include <memory>
#include <string>
#include <string_view>

namespace moth::images {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  // "sha256:<hex>"; to be called once.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_digest(std::string_view bytes);

}  // namespace moth::images

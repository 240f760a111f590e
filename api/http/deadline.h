#pragma once
// Internal: runs a function when a time has passed, unless it is destroyed before. One executor.
#include <chrono>
#include <functional>
#include <memory>

#include "api/base/task.h"

namespace moth::http {

class Deadline {
 public:
  // A timeout of 0 never expires.
  Deadline(asio::any_io_executor executor, std::chrono::milliseconds timeout,
           std::function<void()> on_expiry);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool expired() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::http

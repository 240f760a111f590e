#pragma once
// StartQueue: lets so many starts run at once; who waits longest among the highest priority is
// next. More starts at once than twice the processors only make each one slower. One executor.
#include <memory>

#include "api/base/task.h"

namespace moth::oci {

class StartQueue {
 public:
  explicit StartQueue(int places);
  ~StartQueue();

  // Holds one place until it is destroyed.
  class Place {
   public:
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) noexcept = default;
    ~Place();

   private:
    friend class StartQueue;
    struct State;
    explicit Place(std::shared_ptr<void> held) : held_(std::move(held)) {}
    std::shared_ptr<void> held_;
  };
  // Throws operation_aborted when the caller is cancelled while it waits.
  Task<Place> enter(int priority);
  int running() const;
  std::size_t waiting() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::oci

#pragma once
// Puller: fetches images into the store. Lives on control; owned by ImageService, whose scope runs
// its tasks. Internal to runtime/images.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "runtime/images/service.h"

namespace moth::images {

// At most `limit` holders at a time.
class Slots {
 public:
  Slots(asio::any_io_executor executor, int limit) : free_(limit), changed_(std::move(executor)) {}
  class Holder {
   public:
    explicit Holder(Slots* slots) : slots_(slots) {}
    Holder(Holder&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Holder& operator=(Holder&&) = delete;
    ~Holder() {
      if (slots_) slots_->release();
    }

   private:
    Slots* slots_;
  };
  Task<Holder> acquire() {
    while (free_ <= 0) co_await changed_.wait();
    --free_;
    co_return Holder(this);
  }

 private:
  void release() {
    ++free_;
    changed_.notify();
  }
  int free_;
  Notifier changed_;
};

struct PullRequest {
  Reference reference;
  std::vector<Credential> credentials;
  // Those of the credentials that the machine itself has: what they fetch is free for all pods.
  std::vector<Credential> host_credentials;
  std::vector<std::string> known_digests;
  PullProgress progress;
};

struct Pulled {
  ImagePtr image;
  Duration transfer_time{};
};

class Puller {
 public:
  Puller(Store& store, std::shared_ptr<RegistryClient> registry, TaskScope& scope,
         std::shared_ptr<Clock> clock, asio::any_io_executor blocking,
         const ImageServiceOptions& options);

  Task<Result<Pulled>> pull(PullRequest request);

 private:
  struct Job;
  struct Flight;
  Task<Result<ImagePtr>> fetch(std::shared_ptr<Job> job);
  Task<Result<ImagePtr>> keep_present(std::shared_ptr<Job> job);
  Task<Result<void>> fetch_layers(std::shared_ptr<Job> job);
  Task<void> layer_task(std::shared_ptr<Job> job, std::size_t index);
  Task<Result<void>> fetch_layer(std::shared_ptr<Job> job, std::size_t index);
  Task<Result<void>> unpack_from_registry(std::shared_ptr<Job> job, std::size_t index);
  void report(Job& job, std::size_t index, LayerProgress::Phase phase, std::uint64_t done);

  Store& store_;
  std::shared_ptr<RegistryClient> registry_;
  TaskScope& scope_;
  std::shared_ptr<Clock> clock_;
  asio::any_io_executor blocking_;
  Platform platform_;
  Slots images_;
  Slots layers_;
  // Layers that are being fetched, by chain id: whoever wants one too waits.
  std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace moth::images

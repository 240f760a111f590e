#pragma once
// EventRecorder: tells users what happened to an object, as core/v1 Events. Repeats of one event
// raise its count; a flood of similar ones is merged and then held back (k8s-behaviours 22.1).
// Fire and forget; control thread.
#include <memory>
#include <string>
#include <string_view>

#include "api/base/clock.h"
#include "api/base/task.h"
#include "api/client/object_client.h"
#include "api/machinery/names.h"
#include "api/machinery/object.h"

namespace moth::client {

enum class EventType { kNormal, kWarning };

class EventRecorder {
 public:
  virtual ~EventRecorder() = default;
  // `field_path` as spec.containers{web}, or empty.
  virtual void record(const Object& about, EventType type, std::string_view reason,
                      std::string message, std::string_view field_path = "") = 0;
};

struct EventSource {
  std::string component;  // e.g. deployment-controller, kubelet
  std::string host;       // the node's name, or empty
};

// Writes through `client`, which outlives it. stop() drops what is not written yet.
class ClientEventRecorder final : public EventRecorder {
 public:
  ClientEventRecorder(asio::any_io_executor control, Clock& clock, ObjectClient& client,
                      RandomSource random, EventSource source);
  ~ClientEventRecorder() override;
  void record(const Object& about, EventType type, std::string_view reason, std::string message,
              std::string_view field_path) override;
  Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::client

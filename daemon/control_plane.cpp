#include "daemon/control_plane.h"

#include "daemon/controllers/framework/controller.h"

namespace moth {

struct ControlPlane::Impl {
  Executors& executors;
  Clock& clock;
  server::Pipeline& pipeline;
  LocalReader& reader;
  client::NodeApi* node = nullptr;
  std::vector<std::unique_ptr<controllers::ControllerRunner>> runners;
};

ControlPlane::ControlPlane(Executors& executors, Clock& clock, server::Pipeline& pipeline,
                           LocalReader& reader)
    : impl_(new Impl{executors, clock, pipeline, reader, nullptr, {}}) {}

ControlPlane::~ControlPlane() = default;

void ControlPlane::use_node(client::NodeApi* node) {
  impl_->node = node;
}

void ControlPlane::start() {
  for (auto& runner : impl_->runners) runner->start();
}

Task<void> ControlPlane::stop() {
  for (auto it = impl_->runners.rbegin(); it != impl_->runners.rend(); ++it) co_await (*it)->stop();
}

}  // namespace moth

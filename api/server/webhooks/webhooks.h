#pragma once
// Webhooks: asks the programs that webhook configurations name about each write that concerns
// them. Configurations are read from the store and kept parsed until they change. Control thread;
// connections live on the io executor and are kept open per webhook server.
#include <memory>

#include "api/base/executors.h"
#include "api/machinery/names.h"
#include "api/server/admission/admission.h"
#include "api/server/storage.h"

namespace moth::server {

struct WebhookOptions {
  bool mutating = true, validating = true;  // --disable-admission-plugins
  std::size_t max_answer_bytes = 4u << 20;
  std::size_t max_clients = 64;  // trust stores whose connections are kept
};

// All references outlive it. `io` and `blocking` are where connections live and names are resolved.
std::unique_ptr<RemoteAdmission> make_webhooks(asio::any_io_executor control,
                                               asio::any_io_executor io,
                                               asio::any_io_executor blocking, Storage& storage,
                                               const resources::Registry& registry,
                                               RandomSource random, WebhookOptions options = {});

}  // namespace moth::server

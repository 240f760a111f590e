#pragma once
// WebhookCaller: one HTTP call to a webhook, wherever its server is. Control thread.
#include <map>
#include <memory>
#include <string>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/client.h"
#include "api/server/storage.h"
#include "api/server/webhooks/configuration.h"

namespace moth::server {

class WebhookCaller {
 public:
  WebhookCaller(asio::any_io_executor io, asio::any_io_executor blocking, Storage& storage,
                const resources::Registry& registry, std::size_t max_answer_bytes,
                std::size_t max_clients);
  // The body of a 200 answer. The error says what went wrong in Go's words, which users know.
  Task<Result<std::string>> call(Webhook webhook, std::string review);

 private:
  struct Place {
    std::string url;     // where to connect to
    std::string shown;   // how errors name it
    std::string server;  // the name in its certificate
  };
  Result<Place> place_of(const Webhook& webhook) const;
  Result<std::string> endpoint_of(const Webhook& webhook) const;  // host:port
  Result<std::shared_ptr<http::Client>> client_of(const Webhook& webhook, const Place& place);

  asio::any_io_executor io_, blocking_;
  Storage& storage_;
  const resources::Registry& registry_;
  std::size_t max_answer_bytes_, max_clients_;
  std::map<std::string, std::shared_ptr<http::Client>> clients_;  // by trust and server name
};

}  // namespace moth::server

// The log subresource.
#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/await_on.h"
#include "api/machinery/field_error.h"
#include "api/machinery/time.h"
#include "api/server/api_server_impl.h"
#include "api/server/pod_choice.h"
#include "api/server/streams/limits.h"

namespace moth::server {
namespace {

// Upstream's validation of PodLogOptions, in its order.
FieldErrors check_log_query(const http::Query& query, std::optional<std::int64_t> tail,
                            std::optional<std::int64_t> limit, std::optional<std::int64_t> since,
                            const std::string& stream) {
  FieldErrors errors;
  if (tail && *tail < 0) {
    errors.push_back(FieldError::invalid(FieldPath("tailLines"), Json(*tail),
                                         "must be greater than or equal to 0"));
  }
  if (limit && *limit < 1) {
    errors.push_back(
        FieldError::invalid(FieldPath("limitBytes"), Json(*limit), "must be greater than 0"));
  }
  if (since && !query.get("sinceTime").empty()) {
    errors.push_back(FieldError::forbidden(
        FieldPath(), "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  } else if (since && *since < 1) {
    errors.push_back(
        FieldError::invalid(FieldPath("sinceSeconds"), Json(*since), "must be greater than 0"));
  }
  if (stream != "All" && stream != "Stdout" && stream != "Stderr") {
    errors.push_back(
        FieldError::not_supported(FieldPath("stream"), Json(stream), {"All", "Stderr", "Stdout"}));
  } else if (stream != "All" && tail) {
    errors.push_back(FieldError::forbidden(
        FieldPath(), "`tailLines` and specific `stream` are mutually exclusive for now"));
  }
  return errors;
}

Result<client::LogOptions> parse_log_options(const http::Query& query, const std::string& pod,
                                             WallTime now) {
  client::LogOptions options;
  options.follow = query.flag("follow");
  options.previous = query.flag("previous");
  options.timestamps = query.flag("timestamps");
  MOTH_ASSIGN(options.tail_lines, query.integer("tailLines"));
  MOTH_ASSIGN(options.limit_bytes, query.integer("limitBytes"));
  MOTH_ASSIGN(auto since, query.integer("sinceSeconds"));
  std::string stream(query.get("stream"));
  if (stream.empty()) stream = "All";
  FieldErrors errors =
      check_log_query(query, options.tail_lines, options.limit_bytes, since, stream);
  if (!errors.empty()) return fail(to_invalid_error("", "PodLogOptions", pod, errors));
  if (stream == "Stdout") options.stream = client::LogStream::kStdout;
  if (stream == "Stderr") options.stream = client::LogStream::kStderr;
  if (since) options.since = now - std::chrono::seconds(*since);
  if (std::string time(query.get("sinceTime")); !time.empty()) {
    MOTH_ASSIGN(options.since, parse_rfc3339(time));
  }
  return options;
}

}  // namespace

Task<Result<>> ApiServer::Impl::log(Call& call) {
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  const http::Query& query = call.request().query;
  MOTH_CO_ASSIGN(client::LogOptions options,
                 parse_log_options(query, call.info.name, pipeline_.clock().wall()));
  const Json parsed = (*pod)->parse();
  MOTH_CO_ASSIGN(options.container, choose_container(parsed, std::string(query.get("container"))));
  // Nothing has run yet, nothing was said.
  if (!check_assigned(parsed)) {
    co_await call.exchange.send(http::Response::text(200, ""));
    co_return Result<>{};
  }
  if (!node_) co_return fail(no_node());
  auto reader = co_await await_on(control(), node_->logs(*pod, options));
  if (!reader) co_return fail(reader.error());
  call.exchange.set_write_timeout(streams::kIdleTimeout);
  auto started = co_await call.exchange.start_stream(200, {{"Content-Type", "text/plain"}});
  if (!started) co_return fail(started.error());
  using namespace asio::experimental::awaitable_operators;
  while (!started->closed()) {
    auto raced = co_await ((*reader)->read() || started->wait_closed());
    if (raced.index() == 1) break;
    auto& text = std::get<0>(raced);
    if (!text || text->empty()) break;
    if (auto sent = co_await started->write(std::string_view(*text)); !sent) break;
  }
  (void)co_await started->finish();
  co_return Result<>{};
}

}  // namespace moth::server

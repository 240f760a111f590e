// /moth/v1: what Kubernetes has no API for: backups and images.
#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "api/base/await_on.h"
#include "api/base/log.h"
#include "api/server/api_server_impl.h"
#include "api/server/body.h"

namespace moth::server {
Task<Result<>> ApiServer::Impl::own(Call& call) {
  const auto& segments = call.request().segments;
  if (segments.size() == 3 && segments[1] == "v1" && segments[2] == "backup")
    co_return co_await backup(call);
  co_return co_await images(call);
}

// The store's database as it is now. Chunked, so that a client sees when something is missing.
Task<Result<>> ApiServer::Impl::backup(Call& call) {
  if (!options_.backup) {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  if (call.request().method != "GET") co_return fail(not_allowed());
  MOTH_CO_ASSIGN(PieceReader read, co_await await_on(control(), options_.backup()));
  auto out =
      co_await call.exchange.start_stream(200, {{"Content-Type", "application/vnd.sqlite3"}});
  if (!out) co_return fail(out.error());
  for (;;) {
    auto piece = co_await call_on(executors_.blocking(), [&] { return read(); });
    if (!piece) {
      log::warning("a backup was broken off", log::field("error", piece.error().message));
      out->abort();
      co_return Result<>{};
    }
    if (piece->empty()) break;
    if (auto sent = co_await out->write(std::string_view(*piece)); !sent) co_return Result<>{};
  }
  (void)co_await out->finish();
  co_return Result<>{};
}

// Long work streams lines: {"progress": text}..., then {"result": {...}} or {"error": Status}.
Task<Result<>> ApiServer::Impl::images(Call& call) {
  const auto& segments = call.request().segments;
  if (!node_)
    co_return fail(
        Error::unavailable("this server runs without a node agent: there are no images here"));
  if (segments.size() < 3 || segments[1] != "v1" || segments[2] != "images") {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  const std::string& method = call.request().method;
  std::string action = segments.size() > 3 ? segments[3] : "";
  auto answer = [&](Result<Json> result) -> Task<Result<>> {
    if (!result) co_return fail(result.error());
    co_await send_json(call, 200, result->dump());
    co_return Result<>{};
  };
  if (method == "GET" && action.empty())
    co_return co_await answer(co_await await_on(control(), node_->image_list()));
  if (method == "POST" && action == "prune")
    co_return co_await answer(co_await await_on(control(), node_->image_prune()));
  if (method == "DELETE" && action.empty()) {
    std::string reference(call.request().query.get("reference"));
    if (reference.empty())
      co_return fail(Error::bad_request("reference: Required value: name the image to remove"));
    co_return co_await answer(co_await await_on(control(), node_->image_remove(reference)));
  }
  if (method != "POST" || (action != "load" && action != "pull" && action != "build")) {
    co_return fail(not_allowed());
  }
  MOTH_CO_ASSIGN(DecodedBody body, decode_body(call.request()));
  if (!body.value.is_object())
    co_return fail(Error::bad_request("the request needs a JSON object as its body"));
  auto started = co_await call.exchange.start_stream(200, {{"Content-Type", "application/json"}});
  if (!started) co_return fail(started.error());
  co_return co_await stream_image_work(*started, action, std::move(body.value));
}

// Progress lines of a running image job on their way from control to io.
struct ApiServer::Impl::ImageJob {
  static constexpr std::size_t kMaxWaitingLines = 10'000;
  explicit ImageJob(asio::any_io_executor the_io) : io(std::move(the_io)), changed(io) {}

  asio::any_io_executor io;
  Notifier changed;                 // io
  std::vector<std::string> lines;   // io
  std::optional<Result<Json>> end;  // io
};

// Control. However it ends, the job has an end.
Task<void> ApiServer::Impl::do_image_work(std::shared_ptr<ImageJob> job, std::string action,
                                          Json request) {
  struct End {
    std::shared_ptr<ImageJob> job;
    Result<Json> result = fail(Error::unavailable("the daemon stops: the work was broken off"));
    ~End() {
      asio::post(job->io, [job = job, result = std::move(result)]() mutable {
        job->end = std::move(result);
        job->changed.notify();
      });
    }
  } end{job};
  auto sink = [job](std::string line) {
    asio::post(job->io, [job, line = std::move(line)]() mutable {
      if (job->lines.size() < ImageJob::kMaxWaitingLines) job->lines.push_back(std::move(line));
      job->changed.notify();
    });
  };
  if (action == "load") {
    end.result = co_await node_->image_load(string_or(request, "path"), sink);
  } else if (action == "pull") {
    end.result = co_await node_->image_pull(string_or(request, "reference"), sink);
  } else {
    end.result = co_await node_->image_build(std::move(request), sink);
  }
}

Task<Result<>> ApiServer::Impl::stream_image_work(http::StreamWriter& out, std::string action,
                                                  Json request) {
  auto job = std::make_shared<ImageJob>(executors_.io());
  bool begun = co_await call_on(control(), [&] {
    image_jobs_.spawn("image job", do_image_work(job, std::move(action), std::move(request)));
    return !image_jobs_.cancelled();
  });
  if (!begun) co_return fail(Error::unavailable("the daemon stops"));
  for (;;) {
    std::vector<std::string> lines = std::exchange(job->lines, {});
    for (std::string& line : lines) {
      auto sent = co_await out.write(std::string_view(
          Json{{"progress", line}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"));
      if (!sent) co_return Result<>{};
    }
    if (job->end && job->lines.empty()) break;
    if (job->lines.empty()) co_await job->changed.wait();
  }
  Json last =
      *job->end ? Json{{"result", **job->end}} : Json{{"error", job->end->error().to_status()}};
  std::string text = last.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  (void)co_await out.write(std::string_view(text));
  (void)co_await out.finish();
  co_return Result<>{};
}

}  // namespace moth::server

#pragma once
// A single-threaded loop with a server on loopback and a client for it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <string>

#include "api/base/task_scope.h"
#include "api/http/client.h"
#include "api/http/server.h"

namespace moth::http {

using std::chrono::milliseconds;

class HttpTest : public testing::Test {
 protected:
  // Runs `task` to its end on the loop, with everything else that is going on there.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    std::exception_ptr thrown;
    bool done = false;
    asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error, T value) {
      thrown = error;
      result.emplace(std::move(value));
      done = true;
      loop.stop();
    });
    turn();
    if (thrown) std::rethrow_exception(thrown);
    EXPECT_TRUE(done) << "timed out";
    return std::move(*result);
  }
  void run(Task<void> task) {
    std::exception_ptr thrown;
    bool done = false;
    asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error) {
      thrown = error;
      done = true;
      loop.stop();
    });
    turn();
    if (thrown) std::rethrow_exception(thrown);
    EXPECT_TRUE(done) << "timed out";
  }

  void serve(Handler handler, ServerOptions options = {}, TlsContextPtr tls = nullptr) {
    server.emplace(loop.get_executor(), std::move(handler), options);
    auto bound = server->listen_tcp("127.0.0.1", 0, tls, "main");
    ASSERT_TRUE(bound) << bound.error().message;
    port = *bound;
    base = (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port);
    server->start();
  }

  Client& client() {
    if (!client_) client_.emplace(loop.get_executor(), pool.get_executor(), client_options);
    return *client_;
  }

  Task<RawStream> raw() {
    auto stream = co_await client().dial(*parse_url("http://127.0.0.1:" + std::to_string(port)));
    EXPECT_TRUE(stream) << stream.error().message;
    co_return std::move(*stream);
  }

  Task<void> sleep(milliseconds time) {
    asio::steady_timer timer(loop, time);
    co_await timer.async_wait(asio::use_awaitable);
  }

  // Everything until the end of the stream.
  Task<std::string> read_all(Stream& stream) {
    std::string text;
    char buffer[4096];
    for (;;) {
      auto count = co_await stream.read_some(buffer, sizeof buffer);
      if (!count || *count == 0) co_return text;
      text.append(buffer, *count);
    }
  }

  Task<std::string> read_until(Stream& stream, std::string mark) {
    std::string text;
    char byte = 0;
    while (!text.ends_with(mark)) {
      auto count = co_await stream.read_some(&byte, 1);
      if (!count || *count == 0) co_return text + "<END>";
      text.push_back(byte);
    }
    co_return text;
  }

  // Sends `bytes`, returns all that comes until the server closes.
  Task<std::string> talk(std::string bytes) {
    auto stream = co_await raw();
    co_await stream->write(std::string_view(bytes));
    co_return co_await read_all(*stream);
  }

  void TearDown() override {
    client_.reset();
    if (server) run(server->stop(milliseconds(200)));
    server.reset();
    pool.join();
  }

  asio::io_context loop{1};
  asio::thread_pool pool{1};
  ClientOptions client_options;
  std::optional<Server> server;
  std::uint16_t port = 0;
  std::string base;

 private:
  void turn() {
    loop.restart();
    // Sanitizers on a busy machine are slow; a task of a test that works never waits as long.
    loop.run_for(std::chrono::seconds(120));
  }
  std::optional<Client> client_;
};

inline ClientRequest get(std::string url) {
  ClientRequest request;
  request.url = std::move(url);
  return request;
}

}  // namespace moth::http

#include "api/base/executors.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <mutex>
#include <thread>

namespace moth {

struct Executors::Impl {
  explicit Impl(int blocking_threads)
      : control_work(control.get_executor()),
        io_work(io.get_executor()),
        blocking(static_cast<std::size_t>(blocking_threads)),
        io_thread([this] { io.run(); }) {}

  asio::io_context control{1};
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> control_work;
  asio::executor_work_guard<asio::io_context::executor_type> io_work;
  asio::thread_pool blocking;
  std::thread io_thread;
  std::once_flag stopped;
};

Executors::Executors(int blocking_threads) : impl_(std::make_unique<Impl>(blocking_threads)) {}

Executors::~Executors() {
  stop();
  impl_->blocking.join();
  if (impl_->io_thread.joinable()) impl_->io_thread.join();
}

asio::any_io_executor Executors::control() const {
  return impl_->control.get_executor();
}
asio::any_io_executor Executors::io() const {
  return impl_->io.get_executor();
}
asio::any_io_executor Executors::blocking() const {
  return impl_->blocking.get_executor();
}

void Executors::run() {
  impl_->control.run();
}

void Executors::stop() {
  std::call_once(impl_->stopped, [this] {
    impl_->control_work.reset();
    impl_->control.stop();
    impl_->io_work.reset();
    impl_->io.stop();
  });
}

Task<void> run_on(asio::any_io_executor executor, std::function<void()> function) {
  std::exception_ptr thrown;
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [&](auto handler) {
        asio::post(executor, [&, handler = std::move(handler)]() mutable {
          try {
            function();
          } catch (...) {
            thrown = std::current_exception();
          }
          auto home = asio::get_associated_executor(handler);
          asio::dispatch(home, std::move(handler));
        });
      },
      asio::use_awaitable);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace moth

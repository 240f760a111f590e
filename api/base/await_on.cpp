#include "api/base/await_on.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <memory>

namespace moth {
namespace {

struct Visit {
  asio::cancellation_signal signal;  // touched on the visited executor only
  std::exception_ptr thrown;
  bool aborted = false;

  // A cancelled task's exception stays on its own side and the caller throws a fresh one: sharing
  // one between threads is right, but ThreadSanitizer cannot see libstdc++ count its owners.
  void keep(const std::exception_ptr& error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const boost::system::system_error& failure) {
      aborted = failure.code() == asio::error::operation_aborted;
    } catch (...) {
    }
    if (!aborted) thrown = error;
  }
};

}  // namespace

Task<void> await_void_on(asio::any_io_executor executor, Task<void> task) {
  if (executor == co_await asio::this_coro::executor) {
    co_await std::move(task);
    co_return;
  }
  auto visit = std::make_shared<Visit>();
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [&](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
          slot.assign([weak = std::weak_ptr(visit), executor](asio::cancellation_type type) {
            asio::post(executor, [weak, type] {
              if (auto alive = weak.lock()) alive->signal.emit(type);
            });
          });
        }
        asio::co_spawn(executor, std::move(task),
                       asio::bind_cancellation_slot(
                           visit->signal.slot(), [visit, slot, handler = std::move(handler)](
                                                     const std::exception_ptr& thrown) mutable {
                             visit->keep(thrown);
                             auto home = asio::get_associated_executor(handler);
                             asio::dispatch(home, [slot, handler = std::move(handler)]() mutable {
                               slot.clear();
                               handler();
                             });
                           }));
      },
      asio::use_awaitable);
  if (visit->aborted) {
    throw boost::system::system_error(boost::system::error_code(asio::error::operation_aborted));
  }
  if (visit->thrown) std::rethrow_exception(visit->thrown);
}

}  // namespace moth

#pragma once
// Task<T>: a lazily started coroutine. It runs on the executor of whoever awaits or spawns it.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace moth {

namespace asio = boost::asio;

template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace moth

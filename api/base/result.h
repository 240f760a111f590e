#pragma once
// Result<T>: a value or an Error. The only error channel of the project; exceptions live inside
// wrappers of third-party code.
#include <tl/expected.hpp>

#include "api/base/error.h"

namespace moth {

template <class T = void>
using Result = tl::expected<T, Error>;

// clang-format off
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }
// clang-format on
}  // namespace moth

// Returns the error of `expression` from the calling function (coroutines: MOTH_CO_TRY).
#define MOTH_TRY(expression)                                   \
  do {                                                         \
    if (auto moth_try_result = (expression); !moth_try_result) \
      return ::moth::fail(std::move(moth_try_result).error()); \
  } while (false)
#define MOTH_CO_TRY(expression)                                   \
  do {                                                            \
    if (auto moth_try_result = (expression); !moth_try_result)    \
      co_return ::moth::fail(std::move(moth_try_result).error()); \
  } while (false)

#define MOTH_CONCAT_INNER(a, b) a##b
#define MOTH_CONCAT(a, b) MOTH_CONCAT_INNER(a, b)
// MOTH_ASSIGN(auto x, f()): declares x from the value of f() or returns its error.
#define MOTH_ASSIGN(declaration, expression)                                     \
  auto MOTH_CONCAT(moth_result_, __LINE__) = (expression);                       \
  if (!MOTH_CONCAT(moth_result_, __LINE__))                                      \
    return ::moth::fail(std::move(MOTH_CONCAT(moth_result_, __LINE__)).error()); \
  declaration = *std::move(MOTH_CONCAT(moth_result_, __LINE__))
#define MOTH_CO_ASSIGN(declaration, expression)                                     \
  auto MOTH_CONCAT(moth_result_, __LINE__) = (expression);                          \
  if (!MOTH_CONCAT(moth_result_, __LINE__))                                         \
    co_return ::moth::fail(std::move(MOTH_CONCAT(moth_result_, __LINE__)).error()); \
  declaration = *std::move(MOTH_CONCAT(moth_result_, __LINE__))

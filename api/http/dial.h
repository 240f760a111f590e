#pragma once
// Connections over sockets that somebody else made, e.g. in another network namespace.
#include <chrono>
#include <cstdint>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/stream.h"

namespace moth::http {

// Connects `socket`, a non-blocking TCP socket that is taken over, to `port` of 127.0.0.1, or of
// [::1] when it is one of IPv6; a socket stays in the network namespace that it was made in. Errors
// as Go's dialer words them. A timeout of 0: none. On `io`.
Task<Result<RawStream>> dial_loopback(asio::any_io_executor io, int socket, bool v6,
                                      std::uint16_t port, std::chrono::milliseconds dial_timeout,
                                      std::chrono::milliseconds write_timeout);

}  // namespace moth::http

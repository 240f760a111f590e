#pragma once
#include <string>

namespace moth::server::streams {

// Whether a proxy may connect to this IP address. Not to those of the machine itself and of the
// link, which whoever may write a status or an endpoint could otherwise reach with the server's
// eyes. Pure function.
bool proxyable_address(const std::string& ip);

}  // namespace moth::server::streams

#pragma once
// gzip for bodies. Pure and synchronous: large inputs belong on the blocking executor.
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "api/http/message.h"

namespace moth::http {

// Responses below this size are never compressed.
inline constexpr std::size_t kGzipThreshold = 128 * 1024;

Result<std::string> gzip(std::string_view text, int level = 1);
// RequestEntityTooLarge when the result would exceed `limit` bytes, BadRequest when it is no gzip.
Result<std::string> gunzip(std::string_view compressed, std::size_t limit);

// True when compressing pays and is allowed: larger than kGzipThreshold, the client accepts gzip
// and is not on this machine (loopback is faster than any compressor), no Content-Encoding yet.
bool gzip_wanted(const Request& request, const Response& response);
// `response` with its body compressed; unchanged when compression fails or does not shrink it.
Response gzip_response(Response response);

}  // namespace moth::http

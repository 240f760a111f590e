#include "api/http/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

namespace moth::http {
namespace {

constexpr int kGzipWindow = 15 + 16;  // zlib's way to say "gzip framing"

}  // namespace

Result<std::string> gzip(std::string_view text, int level) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Error::internal("cannot start the gzip compressor"));
  }
  std::string compressed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  int outcome = deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  if (outcome != Z_STREAM_END) return fail(Error::internal("gzip compression failed"));
  return compressed;
}

Result<std::string> gunzip(std::string_view compressed, std::size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) {
    return fail(Error::internal("cannot start the gzip decompressor"));
  }
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  int outcome = Z_OK;
  while (outcome == Z_OK || outcome == Z_BUF_ERROR) {
    // Grows with what comes out, so that a small bomb does not get `limit` bytes at once.
    std::size_t used = text.size();
    if (used > limit) break;
    text.resize(std::min(limit + 1, used + std::max<std::size_t>(16384, used)));
    stream.next_out = reinterpret_cast<Bytef*>(text.data() + used);
    stream.avail_out = static_cast<uInt>(text.size() - used);
    outcome = inflate(&stream, Z_NO_FLUSH);
    bool stuck = stream.avail_in == 0 && stream.avail_out != 0;
    text.resize(text.size() - stream.avail_out);
    // Several members in a row are one text.
    if (outcome == Z_STREAM_END && stream.avail_in > 0)
      outcome = inflateReset(&stream);
    else if (stuck && outcome != Z_STREAM_END)
      break;
  }
  inflateEnd(&stream);
  if (text.size() > limit) {
    return fail(Error::of(Reason::kRequestEntityTooLarge,
                          fmt::format("Request entity too large: limit is {}", limit)));
  }
  if (outcome != Z_STREAM_END) {
    return fail(Error::bad_request("the body is not valid gzip data"));
  }
  return text;
}

bool gzip_wanted(const Request& request, const Response& response) {
  if (request.from_loopback() || response.headers.has("Content-Encoding")) return false;
  if (response.body_size() < kGzipThreshold) return false;
  for (std::string_view value : request.headers.all("Accept-Encoding")) {
    auto at = value.find("gzip");
    if (at == std::string_view::npos) continue;
    std::string_view quality = value.substr(at + 4);
    quality = quality.substr(0, quality.find(','));
    return quality.find("q=0") == std::string_view::npos ||
           quality.find("q=0.") != std::string_view::npos;
  }
  return false;
}

Response gzip_response(Response response) {
  auto compressed = gzip(response.chunks.empty() ? response.body : response.whole_body());
  if (!compressed || compressed->size() >= response.body_size()) return response;
  response.body = std::move(*compressed);
  response.chunks.clear();
  response.headers.set("Content-Encoding", "gzip");
  response.headers.add("Vary", "Accept-Encoding");
  return response;
}

}  // namespace moth::http

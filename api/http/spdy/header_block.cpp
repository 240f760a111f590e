#include "api/http/spdy/header_block.h"

#include <zlib.h>

#include <array>

namespace moth::http::spdy {
namespace {

constexpr std::size_t kMaxHeaders = 256;
// A window that holds the dictionary, and little memory: blocks are some hundred bytes.
constexpr int kWindowBits = 11;
constexpr int kMemoryLevel = 1;

constexpr std::array<std::string_view, 65> kTokens = {"options",
                                                      "head",
                                                      "post",
                                                      "put",
                                                      "delete",
                                                      "trace",
                                                      "accept",
                                                      "accept-charset",
                                                      "accept-encoding",
                                                      "accept-language",
                                                      "accept-ranges",
                                                      "age",
                                                      "allow",
                                                      "authorization",
                                                      "cache-control",
                                                      "connection",
                                                      "content-base",
                                                      "content-encoding",
                                                      "content-language",
                                                      "content-length",
                                                      "content-location",
                                                      "content-md5",
                                                      "content-range",
                                                      "content-type",
                                                      "date",
                                                      "etag",
                                                      "expect",
                                                      "expires",
                                                      "from",
                                                      "host",
                                                      "if-match",
                                                      "if-modified-since",
                                                      "if-none-match",
                                                      "if-range",
                                                      "if-unmodified-since",
                                                      "last-modified",
                                                      "location",
                                                      "max-forwards",
                                                      "pragma",
                                                      "proxy-authenticate",
                                                      "proxy-authorization",
                                                      "range",
                                                      "referer",
                                                      "retry-after",
                                                      "server",
                                                      "te",
                                                      "trailer",
                                                      "transfer-encoding",
                                                      "upgrade",
                                                      "user-agent",
                                                      "vary",
                                                      "via",
                                                      "warning",
                                                      "www-authenticate",
                                                      "method",
                                                      "get",
                                                      "status",
                                                      "200 OK",
                                                      "version",
                                                      "HTTP/1.1",
                                                      "url",
                                                      "public",
                                                      "set-cookie",
                                                      "keep-alive",
                                                      "origin"};
constexpr std::string_view kTail =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service "
    "Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, "
    "GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,"
    "text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859"
    "-1,utf-,*,enq=0.";

void append_number(std::string& out, std::size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

tl::unexpected<Error> broken(const char* why) {
  return fail(Error::bad_request(std::string("spdy: protocol violation: ") + why));
}

}  // namespace

const std::string& header_dictionary() {
  static const std::string dictionary = [] {
    std::string text;
    for (std::string_view token : kTokens) {
      append_number(text, token.size());
      text += token;
    }
    text += kTail;
    return text;
  }();
  return dictionary;
}

std::string encode_headers(const Headers& headers) {
  std::string block;
  append_number(block, headers.size());
  for (const Header& header : headers) {
    append_number(block, header.name.size());
    for (char c : header.name)
      block.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    append_number(block, header.value.size());
    block += header.value;
  }
  return block;
}

Result<Headers> decode_headers(std::string_view block) {
  auto number = [&block](std::size_t& value) {
    if (block.size() < 4) return false;
    value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(block[i]);
    block.remove_prefix(4);
    return true;
  };
  auto text = [&](std::string& value) {
    std::size_t size = 0;
    if (!number(size) || size > block.size()) return false;
    value = block.substr(0, size);
    block.remove_prefix(size);
    return true;
  };
  std::size_t count = 0;
  if (!number(count)) return broken("header block is too short");
  if (count > kMaxHeaders) return broken("too many headers");
  Headers headers;
  for (std::size_t i = 0; i < count; ++i) {
    Header header;
    if (!text(header.name) || !text(header.value)) return broken("header block is too short");
    if (header.name.empty()) return broken("header without a name");
    headers.add(std::move(header.name), std::move(header.value));
  }
  return headers;
}

struct HeaderDeflater::State {
  z_stream stream{};
  bool ready = false;
};

HeaderDeflater::HeaderDeflater() : state_(std::make_unique<State>()) {
  z_stream& stream = state_->stream;
  state_->ready = ::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits,
                                 kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
  const std::string& dictionary = header_dictionary();
  if (state_->ready) {
    ::deflateSetDictionary(&stream, bytes_of(dictionary), static_cast<uInt>(dictionary.size()));
  }
}

HeaderDeflater::~HeaderDeflater() {
  if (state_->ready) ::deflateEnd(&state_->stream);
}

std::string HeaderDeflater::deflate(std::string_view block) {
  std::string out;
  if (!state_->ready) return out;
  z_stream& stream = state_->stream;
  stream.next_in = bytes_of(block);
  stream.avail_in = static_cast<uInt>(block.size());
  std::array<char, 1024> piece{};
  do {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    ::deflate(&stream, Z_SYNC_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

struct HeaderInflater::State {
  z_stream stream{};
  bool ready = false;
};

HeaderInflater::HeaderInflater() : state_(std::make_unique<State>()) {
  state_->ready = ::inflateInit(&state_->stream) == Z_OK;
}

HeaderInflater::~HeaderInflater() {
  if (state_->ready) ::inflateEnd(&state_->stream);
}

Result<std::string> HeaderInflater::inflate(std::string_view compressed) {
  if (!state_->ready) return broken("the header block before could not be read");
  z_stream& stream = state_->stream;
  stream.next_in = bytes_of(compressed);
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string out;
  std::array<char, 4096> piece{};
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    int outcome = ::inflate(&stream, Z_SYNC_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
    if (out.size() > kMaxHeaderBlock) return broken("header block is too long");
    if (outcome == Z_NEED_DICT) {
      const std::string& dictionary = header_dictionary();
      if (::inflateSetDictionary(&stream, bytes_of(dictionary),
                                 static_cast<uInt>(dictionary.size())) == Z_OK) {
        continue;
      }
      return broken("headers are deflated with another dictionary");
    }
    // No progress is possible: everything was taken.
    if (outcome == Z_BUF_ERROR && stream.avail_in == 0) return out;
    if (outcome != Z_OK) return broken("header block is not deflated rightly");
    if (stream.avail_in == 0 && stream.avail_out > 0) return out;
  }
}

}  // namespace moth::http::spdy

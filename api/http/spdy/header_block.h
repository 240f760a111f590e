#pragma once
// Header blocks of SPDY/3: names and values with lengths, deflated with a preset dictionary, one
// deflate stream for each direction of a connection. Free of threads.
#include <memory>
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "api/http/message.h"

namespace moth::http::spdy {

// An inflated block that is longer is refused.
inline constexpr std::size_t kMaxHeaderBlock = 64 * 1024;

// The preset dictionary: 1,423 bytes.
const std::string& header_dictionary();

// Names go out in lower case.
std::string encode_headers(const Headers& headers);
Result<Headers> decode_headers(std::string_view block);

class HeaderDeflater {
 public:
  HeaderDeflater();
  ~HeaderDeflater();
  // In the order in which the blocks are sent.
  std::string deflate(std::string_view block);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class HeaderInflater {
 public:
  HeaderInflater();
  ~HeaderInflater();
  // After an error the connection is of no more use: the state of both ends differs.
  Result<std::string> inflate(std::string_view compressed);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moth::http::spdy

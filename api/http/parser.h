#pragma once
// Internal: incremental HTTP/1 message parsing, Beast's basic_parser behind a plain interface.
// Fills the caller's Request or Response directly. No I/O, no thread.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/message.h"

namespace moth::http {

class Parser {
 public:
  enum class Outcome {
    kMore,            // everything usable was consumed, more bytes are needed
    kHeader,          // the header is complete
    kFull,            // the output is full, the body goes on
    kDone,            // the message is complete
    kHeaderTooLarge,  // over the header limit
    kMalformed,       // see error_text()
  };

  // Objects must outlive the parser, or its next reset.
  void reset(Request& request, std::size_t header_limit);
  // `no_body`: the answer to HEAD.
  void reset(Response& response, std::size_t header_limit, bool no_body);
  Parser();
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  // Consumes up to the end of the header; the whole header must be in `data`, so unconsumed bytes
  // are to be offered again with more behind them.
  Outcome feed_header(std::string_view data, std::size_t& consumed);
  // Consumes body bytes, of which `produced` go into (out, room).
  Outcome feed_body(std::string_view data, std::size_t& consumed, char* out, std::size_t room,
                    std::size_t& produced);
  // The peer finished writing. kDone when that ends the message properly.
  Outcome feed_end();

  bool done() const;
  bool keep_alive() const;
  bool chunked() const;
  std::optional<std::uint64_t> content_length() const;
  const std::string& error_text() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace moth::http

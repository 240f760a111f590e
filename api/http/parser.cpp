#include "api/http/parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <cstring>

namespace moth::http {
namespace {

namespace beast = boost::beast;
using BeastError = beast::error_code;

std::string text_of(beast::string_view view) {
  return {view.data(), view.size()};
}

// Where body bytes go during one call of feed_body.
struct Output {
  char* data = nullptr;
  std::size_t room = 0;
  std::size_t produced = 0;

  std::size_t take(beast::string_view body) {
    std::size_t count = std::min(body.size(), room - produced);
    if (count > 0) std::memcpy(data + produced, body.data(), count);
    produced += count;
    return count;
  }
};

template <bool is_request, class Message>
class MessageParser final : public beast::http::basic_parser<is_request> {
 public:
  explicit MessageParser(Message& message) : message_(message) {}
  Output output;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target,
                       int version, BeastError&) override {
    if constexpr (is_request) {
      message_.method = text_of(method);
      message_.set_target(text_of(target));
      message_.http_1_0 = version < 11;
    }
  }
  void on_response_impl(int code, beast::string_view, int, BeastError&) override {
    if constexpr (!is_request) message_.status = code;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     BeastError&) override {
    message_.headers.add(text_of(name), text_of(value));
  }
  void on_header_impl(BeastError&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, BeastError&) override {}
  std::size_t on_body_impl(beast::string_view body, BeastError&) override {
    return output.take(body);
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, BeastError&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, BeastError&) override {
    return output.take(body);
  }
  void on_finish_impl(BeastError&) override {}

  Message& message_;
};

using RequestParser = MessageParser<true, Request>;
using ResponseParser = MessageParser<false, Response>;

}  // namespace

struct Parser::State {
  std::optional<RequestParser> request;
  std::optional<ResponseParser> response;
  std::string error;

  template <class F>
  auto visit(F function) {
    return request ? function(*request) : function(*response);
  }
};

Parser::Parser() : state_(std::make_unique<State>()) {}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;

namespace {

template <class P>
void set_limits(P& parser, std::size_t header_limit) {
  parser.header_limit(static_cast<std::uint32_t>(header_limit));
  parser.body_limit(boost::none);  // ours to check: the limit depends on the request
  parser.eager(false);
}

Parser::Outcome fault(const BeastError& error, std::string& text) {
  text = error.message();
  return error == beast::http::error::header_limit ? Parser::Outcome::kHeaderTooLarge
                                                   : Parser::Outcome::kMalformed;
}

}  // namespace

void Parser::reset(Request& request, std::size_t header_limit) {
  state_->request.emplace(request);
  set_limits(*state_->request, header_limit);
}

void Parser::reset(Response& response, std::size_t header_limit, bool no_body) {
  state_->response.emplace(response);
  set_limits(*state_->response, header_limit);
  state_->response->skip(no_body);
}

Parser::Outcome Parser::feed_header(std::string_view data, std::size_t& consumed) {
  return state_->visit([&](auto& parser) {
    consumed = 0;
    while (!parser.is_header_done()) {
      if (consumed == data.size()) return Outcome::kMore;
      BeastError error;
      std::size_t used = parser.put(
          boost::asio::const_buffer(data.data() + consumed, data.size() - consumed), error);
      consumed += used;
      if (error == beast::http::error::need_more) return Outcome::kMore;
      if (error) return fault(error, state_->error);
    }
    return parser.is_done() ? Outcome::kDone : Outcome::kHeader;
  });
}

Parser::Outcome Parser::feed_body(std::string_view data, std::size_t& consumed, char* out,
                                  std::size_t room, std::size_t& produced) {
  return state_->visit([&](auto& parser) {
    parser.output = {out, room, 0};
    consumed = 0;
    Outcome outcome = Outcome::kDone;
    while (!parser.is_done()) {
      outcome = Outcome::kMore;
      if (consumed == data.size()) break;
      outcome = Outcome::kFull;
      if (parser.output.produced == room) break;
      BeastError error;
      std::size_t used = parser.put(
          boost::asio::const_buffer(data.data() + consumed, data.size() - consumed), error);
      consumed += used;
      outcome = Outcome::kMore;
      if (error == beast::http::error::need_more) break;
      if (error) {
        outcome = fault(error, state_->error);
        break;
      }
      outcome = Outcome::kDone;
    }
    produced = parser.output.produced;
    return outcome;
  });
}

Parser::Outcome Parser::feed_end() {
  return state_->visit([&](auto& parser) {
    BeastError error;
    parser.put_eof(error);
    if (error) return fault(error, state_->error);
    return parser.is_done() ? Outcome::kDone : Outcome::kMalformed;
  });
}

bool Parser::done() const {
  return state_->visit([](auto& parser) { return parser.is_done(); });
}
bool Parser::keep_alive() const {
  return state_->visit([](auto& parser) { return parser.keep_alive(); });
}
bool Parser::chunked() const {
  return state_->visit([](auto& parser) { return parser.chunked(); });
}
std::optional<std::uint64_t> Parser::content_length() const {
  return state_->visit([](auto& parser) -> std::optional<std::uint64_t> {
    auto length = parser.content_length();
    return length ? std::optional<std::uint64_t>(*length) : std::nullopt;
  });
}
const std::string& Parser::error_text() const {
  return state_->error;
}

}  // namespace moth::http

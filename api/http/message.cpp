#include "api/http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/base/json.h"
#include "api/http/url.h"

namespace moth::http {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Reason reason_of_status(int status) {
  switch (status) {
    case 400:
      return Reason::kBadRequest;
    case 401:
      return Reason::kUnauthorized;
    case 403:
      return Reason::kForbidden;
    case 404:
      return Reason::kNotFound;
    case 405:
      return Reason::kMethodNotAllowed;
    case 406:
      return Reason::kNotAcceptable;
    case 409:
      return Reason::kConflict;
    case 410:
      return Reason::kGone;
    case 413:
      return Reason::kRequestEntityTooLarge;
    case 415:
      return Reason::kUnsupportedMediaType;
    case 422:
      return Reason::kInvalid;
    case 429:
      return Reason::kTooManyRequests;
    case 503:
      return Reason::kServiceUnavailable;
    case 504:
      return Reason::kTimeout;
    default:
      return status < 500 ? Reason::kBadRequest : Reason::kInternalError;
  }
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* Headers::find(std::string_view name) const {
  for (const Header& line : lines_) {
    if (iequals(line.name, name)) return &line.value;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const {
  const std::string* value = find(name);
  return value ? std::string_view(*value) : std::string_view();
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Header& line : lines_) {
    if (iequals(line.name, name)) values.emplace_back(line.value);
  }
  return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  for (const Header& line : lines_) {
    if (!iequals(line.name, name)) continue;
    std::string_view rest = line.value;
    while (!rest.empty()) {
      auto comma = rest.find(',');
      if (iequals(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

void Headers::set(std::string_view name, std::string value) {
  for (auto line = lines_.begin(); line != lines_.end(); ++line) {
    if (!iequals(line->name, name)) continue;
    line->value = std::move(value);
    lines_.erase(std::remove_if(line + 1, lines_.end(),
                                [&](const Header& other) { return iequals(other.name, name); }),
                 lines_.end());
    return;
  }
  lines_.push_back({std::string(name), std::move(value)});
}

void Headers::add(std::string name, std::string value) {
  lines_.push_back({std::move(name), std::move(value)});
}

void Headers::remove(std::string_view name) {
  std::erase_if(lines_, [&](const Header& line) { return iequals(line.name, name); });
}

Query Query::parse(std::string_view raw) {
  Query query;
  while (!raw.empty()) {
    auto end = raw.find('&');
    std::string_view pair = raw.substr(0, end);
    raw.remove_prefix(end == std::string_view::npos ? raw.size() : end + 1);
    if (pair.empty()) continue;
    auto equals = pair.find('=');
    std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
    query.add(percent_decode(pair.substr(0, equals), true), percent_decode(value, true));
  }
  return query;
}

const std::string* Query::find(std::string_view name) const {
  for (const auto& [key, value] : parameters_) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string_view Query::get(std::string_view name) const {
  const std::string* value = find(name);
  return value ? std::string_view(*value) : std::string_view();
}

std::vector<std::string> Query::all(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : parameters_) {
    if (key == name) values.push_back(value);
  }
  return values;
}

bool Query::flag(std::string_view name) const {
  const std::string* value = find(name);
  return value && *value != "0" && !iequals(*value, "false");
}

Result<std::optional<std::int64_t>> Query::integer(std::string_view name) const {
  const std::string* value = find(name);
  if (!value || value->empty()) return std::nullopt;
  std::int64_t number = 0;
  const char* end = value->data() + value->size();
  const char* begin = value->data() + (value->starts_with('+') ? 1 : 0);
  auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end) {
    return fail(Error::bad_request(fmt::format(
        "invalid query parameter {}: strconv.ParseInt: parsing \"{}\": {}", name, *value,
        error == std::errc::result_out_of_range ? "value out of range" : "invalid syntax")));
  }
  return number;
}

void Query::add(std::string name, std::string value) {
  parameters_.emplace_back(std::move(name), std::move(value));
}

void Request::set_target(std::string text) {
  target = std::move(text);
  std::string_view rest = target;
  // The absolute form of proxies: only its path matters here.
  if (!rest.starts_with('/')) {
    if (auto scheme = rest.find("://"); scheme != std::string_view::npos) {
      auto slash = rest.find('/', scheme + 3);
      rest = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
    }
  }
  auto question = rest.find('?');
  query = question == std::string_view::npos ? Query() : Query::parse(rest.substr(question + 1));
  path = rest.substr(0, question);
  segments.clear();
  std::string_view left = path;
  while (!left.empty()) {
    auto slash = left.find('/');
    std::string_view segment = left.substr(0, slash);
    if (!segment.empty()) segments.push_back(percent_decode(segment));
    if (slash == std::string_view::npos) break;
    left.remove_prefix(slash + 1);
  }
}

std::string_view Request::remote_host() const {
  std::string_view host = remote_address;
  if (host.empty() || host.front() == '@') return "";
  host = host.substr(0, host.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

bool Request::from_loopback() const {
  std::string_view host = remote_host();
  return remote_address.starts_with('@') || host == "::1" || host.starts_with("127.") ||
         host.starts_with("::ffff:127.");
}

std::size_t Response::body_size() const {
  std::size_t size = body.size();
  for (const SharedText& chunk : chunks) size += chunk->size();
  return size;
}

std::string Response::whole_body() const {
  if (chunks.empty()) return body;
  std::string whole;
  whole.reserve(body_size());
  whole += body;
  for (const SharedText& chunk : chunks) whole += *chunk;
  return whole;
}

Response Response::json(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Response Response::text(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::move(body);
  return response;
}

Response Response::from_error(const Error& error) {
  // Messages may quote a client's bytes: what is not UTF-8 is replaced.
  Response response =
      json(error.code(), error.to_status().dump(-1, ' ', false, Json::error_handler_t::replace));
  if (error.retry_after_seconds > 0) {
    response.headers.add("Retry-After", std::to_string(error.retry_after_seconds));
  }
  return response;
}

std::string_view status_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 414:
      return "Request URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Requested Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

Error error_from_response(const Response& response) {
  std::string body = response.whole_body();
  Error error;
  bool is_status = false;
  if (body.starts_with('{')) {
    Json document = Json::parse(body, nullptr, false);
    is_status = !document.is_discarded() && string_or(document, "kind") == "Status";
    if (is_status) error = Error::from_status(document);
  }
  if (!is_status) {
    error.reason = reason_of_status(response.status);
    constexpr std::size_t kQuoted = 1024;
    std::string_view quoted = trim(std::string_view(body).substr(0, kQuoted));
    while (quoted.ends_with('\n') || quoted.ends_with('\r')) quoted.remove_suffix(1);
    error.message = quoted.empty() ? fmt::format("the server answered {} {}", response.status,
                                                 status_phrase(response.status))
                                   : std::string(quoted);
  }
  if (error.retry_after_seconds == 0) {
    std::string_view after = response.headers.get("Retry-After");
    std::from_chars(after.data(), after.data() + after.size(), error.retry_after_seconds);
  }
  return error;
}

}  // namespace moth::http

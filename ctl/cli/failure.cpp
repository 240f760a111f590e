#include "ctl/cli/failure.h"

#include <fmt/format.h>

#include "api/http/url.h"

namespace moth::ctl {
namespace {

std::string cause_text(const Cause& cause) {
  return cause.field.empty() ? cause.message : cause.field + ": " + cause.message;
}

// kubectl's way with 422: the causes, one a line when there are several.
std::string invalid_text(const Error& error) {
  std::string head = "The request is invalid";
  if (!error.kind.empty() || !error.name.empty()) {
    head = fmt::format("The {} \"{}\" is invalid", error.kind, error.name);
  } else if (error.causes.empty() && !error.message.empty()) {
    head += ": " + error.message;
  }
  if (error.causes.empty()) {
    if (!error.message.empty() && !error.kind.empty()) head += ": " + error.message;
    return head + "\n";
  }
  if (error.causes.size() == 1) return head + ": " + cause_text(error.causes[0]) + "\n";
  std::string text = head + ": \n";
  for (const Cause& cause : error.causes) text += "* " + cause_text(cause) + "\n";
  return text;
}

std::string server_text(const Error& error) {
  if (error.reason == Reason::kUnauthorized)
    return "error: You must be logged in to the server (Unauthorized)\n";
  if (error.reason == Reason::kInvalid) return invalid_text(error);
  return fmt::format("Error from server ({}): {}\n", to_string(error.reason), error.message);
}

std::string network_text(const Error& error, std::string_view server) {
  std::string address(server);
  if (auto url = http::parse_url(server)) address = url->authority();
  if (error.message.find("connection refused") != std::string::npos) {
    return fmt::format(
        "The connection to the server {} was refused: is mothd running?\n"
        "Start it with \"systemctl start moth\" (or run \"mothd\"), or name another server with "
        "--server, --context or --kubeconfig.\n",
        address);
  }
  std::string text = "Unable to connect to the server: " + error.message + "\n";
  if (error.message.find("certificate") != std::string::npos) {
    text +=
        "The kubeconfig does not belong to this server: was its data directory made anew? Take the "
        "admin.kubeconfig out of it.\n";
  } else if (error.reason == Reason::kTimeout) {
    text += fmt::format("The API server at {} does not answer: is mothd running?\n", address);
  }
  return text;
}

}  // namespace

std::string failure_text(const Failure& failure, std::string_view server) {
  const Error& error = failure.error;
  switch (failure.origin) {
    case Failure::Origin::kServer:
      return server_text(error);
    case Failure::Origin::kNetwork:
      return network_text(error, server);
    case Failure::Origin::kLocal:
      break;
  }
  if (error.message.starts_with("error: ")) return error.message + "\n";
  return "error: " + error.message + "\n";
}

}  // namespace moth::ctl

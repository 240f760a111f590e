#include "api/server/request_info.h"

namespace moth::server {
namespace {

std::string verb_of(const http::Request& request, bool named) {
  const std::string& method = request.method;
  if (method == "GET" || method == "HEAD") {
    if (request.query.flag("watch")) return "watch";
    return named ? "get" : "list";
  }
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return named ? "delete" : "deletecollection";
  return method;
}

}  // namespace

RequestInfo parse_request_info(const http::Request& request) {
  RequestInfo info;
  info.path = request.path;
  info.verb = request.method;
  const auto& segments = request.segments;
  std::size_t at = 0;
  if (segments.size() >= 3 && segments[0] == "api") {
    info.gvr.version = segments[1];
    at = 2;
  } else if (segments.size() >= 4 && segments[0] == "apis") {
    info.gvr.group = segments[1];
    info.gvr.version = segments[2];
    at = 3;
  } else {
    return info;
  }
  // namespaces/N/resource..., but namespaces/N and namespaces/N/{status,finalize} are of the
  // resource namespaces itself.
  bool scoped = segments[at] == "namespaces" && segments.size() > at + 2 &&
                segments[at + 2] != "status" && segments[at + 2] != "finalize";
  if (scoped) {
    info.ns = segments[at + 1];
    at += 2;
  }
  info.is_resource = true;
  info.gvr.resource = segments[at++];
  if (at < segments.size()) info.name = segments[at++];
  if (at < segments.size()) info.subresource = segments[at++];
  for (; at < segments.size(); ++at) info.rest.push_back(segments[at]);
  info.verb = verb_of(request, !info.name.empty());
  return info;
}

}  // namespace moth::server

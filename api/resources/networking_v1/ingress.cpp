#include <fmt/format.h>

#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/check_text.h"
#include "api/resources/edit.h"
#include "api/resources/networking_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kShownHosts = 3;
constexpr const char* kClassAnnotation = "kubernetes.io/ingress.class";

std::string class_annotation(const Json& object) {
  return string_or(object_of(object_of(object, "metadata"), "annotations"), kClassAnnotation);
}

void check_resource_backend(FieldErrors& errors, const Json& ref, const FieldPath& path) {
  check_name(errors, ref, "apiGroup", path, check_dns1123_subdomain);
  for (const char* key : {"kind", "name"}) {
    if (check_required(errors, ref, key, path)) {
      check_name(errors, ref, key, path, check_path_segment_name);
    }
  }
}

void check_service_backend(FieldErrors& errors, const Json& service, const FieldPath& path) {
  FieldPath at = path.child("service");
  if (check_required(errors, service, "name", at)) {
    check_name(errors, service, "name", at, check_dns1123_label);
  }
  const Json& port = object_of(service, "port");
  std::string name = string_or(port, "name");
  std::int64_t number = int_or(port, "number");
  if (!name.empty() && number != 0) {
    errors.push_back(FieldError::invalid(path, "", "cannot set both port name & port number"));
  } else if (!name.empty()) {
    add_invalid(errors, at.child("port", "name"), name, check_port_name(name));
  } else if (number != 0) {
    add_invalid(errors, at.child("port", "number"), number, check_port_number(number));
  } else {
    errors.push_back(FieldError::required(path, "port name or number is required"));
  }
}

void check_backend(FieldErrors& errors, const Json& backend, const FieldPath& path) {
  const Json* resource = member(backend, "resource");
  const Json* service = member(backend, "service");
  if (resource && service) {
    errors.push_back(
        FieldError::invalid(path, "", "cannot set both resource and service backends"));
  } else if (resource) {
    check_resource_backend(errors, *resource, path.child("resource"));
  } else if (service) {
    check_service_backend(errors, *service, path);
  } else {
    errors.push_back(FieldError::invalid(path, "", "resource or service backend is required"));
  }
}

void check_exact_path(FieldErrors& errors, const std::string& text, const FieldPath& path) {
  if (!text.starts_with('/')) {
    errors.push_back(FieldError::invalid(path, text, "must be an absolute path"));
  }
  for (const char* sequence : {"//", "/./", "/../", "%2f", "%2F"}) {
    if (text.find(sequence) == std::string::npos) continue;
    errors.push_back(
        FieldError::invalid(path, text, fmt::format("must not contain '{}'", sequence)));
  }
  for (std::string_view suffix : {"/..", "/."}) {
    if (!text.ends_with(suffix)) continue;
    errors.push_back(FieldError::invalid(path, text, fmt::format("cannot end with '{}'", suffix)));
  }
}

void check_http_path(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  if (!has(rule, "pathType")) {
    errors.push_back(FieldError::required(path.child("pathType"), "pathType must be specified"));
    return;
  }
  std::string type = string_or(rule, "pathType"), text = string_or(rule, "path");
  FieldPath at = path.child("path");
  if (type == "Exact" || type == "Prefix") {
    check_exact_path(errors, text, at);
  } else if (type == "ImplementationSpecific") {
    if (!text.empty() && !text.starts_with('/')) {
      errors.push_back(FieldError::invalid(at, text, "must be an absolute path"));
    }
  } else {
    errors.push_back(FieldError::not_supported(path.child("pathType"), type,
                                               {"Exact", "ImplementationSpecific", "Prefix"}));
  }
  check_backend(errors, object_of(rule, "backend"), path.child("backend"));
}

Messages check_host(std::string_view host) {
  return host.find('*') == std::string_view::npos ? check_dns1123_subdomain(host)
                                                  : check_wildcard_subdomain(host);
}

void check_rule(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  if (std::string host = string_or(rule, "host"); !host.empty()) {
    if (check_ip(host).empty()) {
      errors.push_back(
          FieldError::invalid(path.child("host"), host, "must be a DNS name, not an IP address"));
    }
    add_invalid(errors, path.child("host"), host, check_host(host));
  }
  const Json* http = member(rule, "http");
  if (!http) return;
  const Json& paths = items(*http, "paths");
  FieldPath at = path.child("http", "paths");
  if (paths.empty()) errors.push_back(FieldError::required(at, ""));
  for (std::size_t i = 0; i < paths.size(); ++i) check_http_path(errors, paths[i], at.index(i));
}

void check_tls(FieldErrors& errors, const Json& tls, const FieldPath& path) {
  std::size_t i = 0;
  for (const std::string& host : strings(tls, "hosts")) {
    add_invalid(errors, path.child("hosts").index(i++), host, check_host(host));
  }
  check_name(errors, tls, "secretName", path, check_dns1123_subdomain);
}

FieldErrors validate_spec(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  const Json& rules = items(spec, "rules");
  const Json& tls = items(spec, "tls");
  const Json* fallback = member(spec, "defaultBackend");
  if (rules.empty() && !fallback) {
    errors.push_back(
        FieldError::invalid(path, rules, "either `defaultBackend` or `rules` must be specified"));
  }
  if (fallback) check_backend(errors, *fallback, path.child("defaultBackend"));
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_rule(errors, rules[i], path.child("rules").index(i));
  }
  for (std::size_t i = 0; i < tls.size(); ++i) {
    check_tls(errors, tls[i], path.child("tls").index(i));
  }
  if (has(spec, "ingressClassName")) {
    std::string name = string_or(spec, "ingressClassName");
    add_invalid(errors, path.child("ingressClassName"), name, check_dns1123_subdomain(name));
  }
  return errors;
}

FieldErrors validate(const Json& object) {
  FieldErrors errors = validate_spec(object);
  std::string annotation = class_annotation(object);
  const Json& spec = object_of(object, "spec");
  if (!annotation.empty() && has(spec, "ingressClassName") &&
      annotation != string_or(spec, "ingressClassName")) {
    errors.push_back(FieldError::invalid(FieldPath("annotations").child(kClassAnnotation),
                                         annotation,
                                         "must match `ingressClassName` when both are specified"));
  }
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  FieldPath path = FieldPath("status").child("loadBalancer", "ingress");
  std::size_t i = 0;
  const Json& status = object_of(object_of(object, "status"), "loadBalancer");
  for (const Json& point : items(status, "ingress")) {
    FieldPath at = path.index(i++);
    check_name(errors, point, "ip", at, check_ip);
    std::string host = string_or(point, "hostname");
    if (host.empty()) continue;
    add_invalid(errors, at.child("hostname"), host, check_dns1123_subdomain(host));
    if (check_ip(host).empty()) {
      errors.push_back(
          FieldError::invalid(at.child("hostname"), host, "must be a DNS name, not an IP address"));
    }
  }
  return errors;
}

std::vector<std::string> warnings(const Json& object) {
  const Json& annotations = object_of(object_of(object, "metadata"), "annotations");
  if (!annotations.contains(kClassAnnotation)) return {};
  return {
      "annotation \"kubernetes.io/ingress.class\" is deprecated, please use "
      "'spec.ingressClassName' instead"};
}

std::string class_cell(const Json& object) {
  const Json& spec = object_of(object, "spec");
  return or_none(has(spec, "ingressClassName") ? string_or(spec, "ingressClassName")
                                               : class_annotation(object));
}

std::string hosts_cell(const Json& spec) {
  std::vector<std::string> hosts;
  for (const Json& rule : items(spec, "rules")) {
    std::string host = string_or(rule, "host");
    if (!host.empty()) hosts.push_back(std::move(host));
  }
  return limited_list(hosts, kShownHosts, ",", "*");
}

std::string address_cell(const Json& status) {
  std::vector<std::string> points;
  for (const Json& point : items(object_of(status, "loadBalancer"), "ingress")) {
    std::string ip = string_or(point, "ip");
    points.push_back(ip.empty() ? string_or(point, "hostname") : ip);
  }
  return join(points, ",");
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  return Json::array({name_cell(object), class_cell(object), hosts_cell(spec),
                      address_cell(object_of(object, "status")),
                      items(spec, "tls").empty() ? "80" : "80, 443", age_cell(object, context)});
}

}  // namespace

ResourceDef ingresses() {
  ResourceDef row =
      row_of("networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", "networking.v1.Ingress");
  row.short_names = {"ing"};
  row.subresources = {own_subresource(row, "status")};
  row.has_generation = true;
  row.prepare_create = [](Json& object) { object["status"] = {{"loadBalancer", Json::object()}}; };
  row.validate = validate;
  row.validate_update = [](const Json& object, const Json&) { return validate_spec(object); };
  row.validate_status = validate_status;
  row.warnings = warnings;
  row.columns = columns(
      {column("Name", "Name of the ingress, unique in its namespace"),
       column("Class", "Class of the controller that serves it"),
       column("Hosts", "Names that it answers to"), column("Address", "Where it answers"),
       column("Ports", "On which ports: with TLS also 443"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources

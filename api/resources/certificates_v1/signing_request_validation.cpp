#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/certificates_v1/signing_request.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/schema/base64.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kShortestSeconds = 600;
constexpr std::size_t kMaxSignerPath = kDns1123SubdomainMax + kDns1123LabelMax + 1;
constexpr std::size_t kMaxSignerName = kDns1123SubdomainMax + kMaxSignerPath + 1;

// Sorted, as upstream prints them.
const std::vector<std::string>& usages() {
  static const std::vector<std::string> kUsages = {"any",
                                                   "cert sign",
                                                   "client auth",
                                                   "code signing",
                                                   "content commitment",
                                                   "crl sign",
                                                   "data encipherment",
                                                   "decipher only",
                                                   "digital signature",
                                                   "email protection",
                                                   "encipher only",
                                                   "ipsec end system",
                                                   "ipsec tunnel",
                                                   "ipsec user",
                                                   "key agreement",
                                                   "key encipherment",
                                                   "microsoft sgc",
                                                   "netscape sgc",
                                                   "ocsp signing",
                                                   "s/mime",
                                                   "server auth",
                                                   "signing",
                                                   "timestamping"};
  return kUsages;
}

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio reader(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

// What is wrong with PEM text that should hold a request; empty when nothing is.
std::string request_problem(const std::string& pem) {
  if (pem.find("-----BEGIN CERTIFICATE REQUEST-----") == std::string::npos) {
    return "PEM block type must be CERTIFICATE REQUEST";
  }
  Bio in = reader(pem);
  std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(
      PEM_read_bio_X509_REQ(in.get(), nullptr, nullptr, nullptr), X509_REQ_free);
  return request ? "" : "asn1: the block holds no certificate request";
}

// The same of the certificates that a signer wrote.
std::string certificate_problem(const std::string& pem) {
  if (pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return "must contain one or more PEM blocks";
  }
  Bio in = reader(pem);
  for (std::size_t found = 0;; ++found) {
    std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
    if (!certificate) {
      return found > 0 ? "" : "only CERTIFICATE PEM blocks are allowed, and they must parse";
    }
  }
}

void check_request(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::string given = string_or(spec, "request");
  auto pem = schema::decode_base64(given);
  std::string problem = request_problem(pem ? *pem : "");
  if (!problem.empty()) {
    errors.push_back(FieldError::invalid(path.child("request"), given, problem));
  }
}

void check_usages(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& given = items(spec, "usages");
  FieldPath at = path.child("usages");
  if (given.empty()) errors.push_back(FieldError::required(at, ""));
  UniqueNames seen;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!given[i].is_string()) continue;
    const std::string& usage = given[i].get_ref<const std::string&>();
    if (std::find(usages().begin(), usages().end(), usage) == usages().end()) {
      errors.push_back(FieldError::not_supported(at.index(i), usage, usages()));
    }
    seen.add(errors, usage, at.index(i));
  }
}

bool decides(const std::string& type) {
  return type == "Approved" || type == "Denied" || type == "Failed";
}

void check_conditions(FieldErrors& errors, const Json& object) {
  FieldPath path = FieldPath("status").child("conditions");
  const Json& conditions = items(object_of(object, "status"), "conditions");
  UniqueNames types;
  bool approved = false, denied = false;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    FieldPath at = path.index(i);
    std::string type = string_or(conditions[i], "type");
    if (type.empty()) errors.push_back(FieldError::required(at.child("type"), ""));
    std::string status = string_or(conditions[i], "status");
    if (status.empty()) {
      errors.push_back(FieldError::required(at.child("status"), ""));
    } else if (decides(type) && status != "True") {
      errors.push_back(FieldError::not_supported(at.child("status"), status, {"True"}));
    } else if (status != "True" && status != "False" && status != "Unknown") {
      errors.push_back(
          FieldError::not_supported(at.child("status"), status, {"False", "True", "Unknown"}));
    }
    approved = approved || type == "Approved";
    denied = denied || type == "Denied";
    if (approved && denied && (type == "Approved" || type == "Denied")) {
      errors.push_back(FieldError::invalid(
          at.child("type"), type, "Approved and Denied conditions are mutually exclusive"));
    }
    types.add(errors, type, at.child("type"));
  }
}

void check_labels_of(FieldErrors& errors, std::string_view text, const FieldPath& path) {
  std::string_view rest = text;
  for (;;) {
    auto dot = rest.find('.');
    std::string_view label = rest.substr(0, dot);
    for (const std::string& message : check_dns1123_label(label)) {
      errors.push_back(FieldError::invalid(
          path, std::string(text), fmt::format("validating label \"{}\": {}", label, message)));
    }
    if (dot == std::string_view::npos) return;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

void check_signer_name(FieldErrors& errors, std::string_view name, const FieldPath& path) {
  if (name.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  auto slash = name.find('/');
  if (slash == std::string_view::npos || name.find('/', slash + 1) != std::string_view::npos) {
    errors.push_back(FieldError::invalid(
        path, std::string(name),
        "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    return;
  }
  std::string_view domain = name.substr(0, slash);
  if (domain.size() > kDns1123SubdomainMax) {
    errors.push_back(FieldError::too_long(path, kDns1123SubdomainMax));
  }
  check_labels_of(errors, domain, path);
  if (domain.find('.') == std::string_view::npos) {
    errors.push_back(
        FieldError::invalid(path, std::string(domain),
                            "should be a domain with at least two segments separated by dots"));
  }
  check_labels_of(errors, name.substr(slash + 1), path);
  if (name.size() > kMaxSignerName) errors.push_back(FieldError::too_long(path, kMaxSignerName));
}

FieldErrors validate_signing_request(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_request(errors, spec, path);
  check_usages(errors, spec, path);
  std::string signer = string_or(spec, "signerName");
  if (signer == "kubernetes.io/legacy-unknown") {
    errors.push_back(
        FieldError::invalid(path.child("signerName"), signer,
                            "the legacy signerName is not allowed via this API version"));
  } else {
    check_signer_name(errors, signer, path.child("signerName"));
  }
  const Json* seconds = member(spec, "expirationSeconds");
  if (seconds && seconds->is_number_integer() && *seconds < kShortestSeconds) {
    errors.push_back(
        FieldError::invalid(path.child("expirationSeconds"), *seconds,
                            "may not specify a duration less than 600 seconds (10 minutes)"));
  }
  check_conditions(errors, object);
  std::string certificate = string_or(object_of(object, "status"), "certificate");
  if (!certificate.empty()) {
    auto pem = schema::decode_base64(certificate);
    std::string problem = certificate_problem(pem ? *pem : "");
    if (!problem.empty()) {
      errors.push_back(FieldError::invalid(FieldPath("status").child("certificate"),
                                           "<certificate data>", problem));
    }
  }
  return errors;
}

namespace {

std::size_t count_of(const Json& object, std::string_view type) {
  std::size_t count = 0;
  for (const Json& condition : items(object_of(object, "status"), "conditions")) {
    if (string_or(condition, "type") == type) ++count;
  }
  return count;
}

}  // namespace

void check_decisions_kept(FieldErrors& errors, const Json& object, const Json& old) {
  for (const char* type : {"Approved", "Denied", "Failed"}) {
    if (count_of(object, type) >= count_of(old, type)) continue;
    errors.push_back(FieldError::forbidden(
        FieldPath("status").child("conditions"),
        fmt::format("updates may not remove a condition of type \"{}\"", type)));
  }
}

void check_no_approval(FieldErrors& errors, const Json& object, const Json& old) {
  for (const char* type : {"Approved", "Denied"}) {
    if (count_of(object, type) <= count_of(old, type)) continue;
    errors.push_back(
        FieldError::forbidden(FieldPath("status").child("conditions"),
                              fmt::format("updates may not add a condition of type \"{}\"", type)));
  }
}

}  // namespace moth::resources

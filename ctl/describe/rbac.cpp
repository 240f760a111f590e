// Roles, bindings, certificate signing requests.
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <map>
#include <memory>

#include "api/machinery/time.h"
#include "api/schema/base64.h"
#include "ctl/describe/kinds.h"
#include "ctl/describe/rbac_rules.h"

namespace moth::ctl {
namespace {

struct Subject {
  std::string common_name;
  std::vector<std::string> organizations;
};

// The subject of a PEM certificate request; empty when it is none.
Subject subject_of(const std::string& pem) {
  Subject subject;
  std::unique_ptr<BIO, decltype(&::BIO_free)> in(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), ::BIO_free);
  std::unique_ptr<X509_REQ, decltype(&::X509_REQ_free)> request(
      ::PEM_read_bio_X509_REQ(in.get(), nullptr, nullptr, nullptr), ::X509_REQ_free);
  if (!request) return subject;
  X509_NAME* name = ::X509_REQ_get_subject_name(request.get());
  for (int i = 0; i < ::X509_NAME_entry_count(name); ++i) {
    X509_NAME_ENTRY* entry = ::X509_NAME_get_entry(name, i);
    unsigned char* bytes = nullptr;
    int size = ::ASN1_STRING_to_UTF8(&bytes, ::X509_NAME_ENTRY_get_data(entry));
    if (size < 0) continue;
    std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
    ::OPENSSL_free(bytes);
    int kind = ::OBJ_obj2nid(::X509_NAME_ENTRY_get_object(entry));
    if (kind == NID_commonName) subject.common_name = text;
    if (kind == NID_organizationName) subject.organizations.push_back(text);
  }
  return subject;
}

std::string verdict_text(const Json& request) {
  std::string text;
  const Json* conditions = find_path(request, "status", "conditions");
  for (const char* type : {"Approved", "Denied", "Failed"}) {
    for (const Json& condition : conditions ? *conditions : Json::array())
      if (string_or(condition, "type") == type)
        text += (text.empty() ? "" : ",") + std::string(type);
  }
  if (text.empty()) text = "Pending";
  if (!text_at(request, "status", "certificate").empty()) text += ",Issued";
  return text;
}

}  // namespace

void describe_cluster_role(DescribeWriter& out, Api&, const Json& role) {
  out.write(0, "Name:\t{}\n", text_at(role, "metadata", "name"));
  write_labels(out, "Labels", metadata_member(role, "labels"));
  write_annotations(out, "Annotations", metadata_member(role, "annotations"));
  out.write(0, "PolicyRule:\n");
  out.write(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
  out.write(1, "---------\t-----------------\t--------------\t-----\n");
  Json rules = role.value("rules", Json::array());
  if (!rules.is_array()) rules = Json::array();
  for (const SingleRule& rule : single_rules(rules)) {
    out.write(1, "{}\t{}\t{}\t{}\n", rule.shown(), rule.urls, rule.names,
              bracketed_text(&rule.verbs));
  }
}

void describe_role_binding(DescribeWriter& out, Api&, const Json& binding) {
  out.write(0, "Name:\t{}\n", text_at(binding, "metadata", "name"));
  write_labels(out, "Labels", metadata_member(binding, "labels"));
  write_annotations(out, "Annotations", metadata_member(binding, "annotations"));
  out.write(0, "Role:\n");
  out.write(1, "Kind:\t{}\n", text_at(binding, "roleRef", "kind"));
  out.write(1, "Name:\t{}\n", text_at(binding, "roleRef", "name"));
  out.write(0, "Subjects:\n");
  out.write(1, "Kind\tName\tNamespace\n");
  out.write(1, "----\t----\t---------\n");
  const Json subjects = binding.value("subjects", Json::array());
  for (const Json& subject : subjects) {
    out.write(1, "{}\t{}\t{}\n", string_or(subject, "kind"), string_or(subject, "name"),
              string_or(subject, "namespace"));
  }
}

void describe_certificate_request(DescribeWriter& out, Api&, const Json& request) {
  const Json spec = request.value("spec", Json::object());
  out.write(0, "Name:\t{}\n", text_at(request, "metadata", "name"));
  out.write(0, "Labels:\t{}\n", pairs_text(metadata_member(request, "labels")));
  out.write(0, "Annotations:\t{}\n", pairs_text(metadata_member(request, "annotations")));
  write_time(out, "CreationTimestamp", text_at(request, "metadata", "creationTimestamp"));
  out.write(0, "Requesting User:\t{}\n", string_or(spec, "username"));
  if (std::string signer = string_or(spec, "signerName"); !signer.empty())
    out.write(0, "Signer:\t{}\n", signer);
  if (spec.contains("expirationSeconds"))
    out.write(0, "Requested Duration:\t{}\n",
              human_age(std::chrono::seconds(int_or(spec, "expirationSeconds"))));
  out.write(0, "Status:\t{}\n", verdict_text(request));
  auto pem = schema::decode_base64(string_or(spec, "request"));
  Subject subject = subject_of(pem.value_or(""));
  out.write(0, "Subject:\n");
  out.write(0, "\tCommon Name:\t{}\n", subject.common_name);
  out.write(0, "\tSerial Number:\t\n");
  for (std::size_t i = 0; i < subject.organizations.size(); ++i)
    out.write(0, "\t{}\t{}\n", i == 0 ? "Organization:" : "", subject.organizations[i]);
}

}  // namespace moth::ctl

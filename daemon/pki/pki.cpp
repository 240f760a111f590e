#include "daemon/pki/pki.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "api/client/kubeconfig/kubeconfig.h"

namespace moth::pki {
namespace {

constexpr unsigned kSecret = 0600;
constexpr unsigned kPublic = 0644;

// Nothing when the file does not exist.
Result<std::optional<std::string>> read_if_exists(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    return fail(Error::from_errno(errno, "open " + path));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return std::optional<std::string>(std::move(text).str());
}

Result<void> make_folder(const std::string& path, unsigned mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(Error::from_errno(error.value(), "mkdir " + path));
  if (::chmod(path.c_str(), mode) != 0) return fail(Error::from_errno(errno, "chmod " + path));
  return {};
}

std::string normal_address(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  for (int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, address.c_str(), bytes.data()) == 1) {
      return inet_ntop(family, bytes.data(), text.data(), text.size());
    }
  }
  return address;
}

bool contains_all(const std::vector<std::string>& have, const std::vector<std::string>& want) {
  return std::all_of(want.begin(), want.end(), [&](const std::string& entry) {
    return std::find(have.begin(), have.end(), entry) != have.end();
  });
}

void push_unique(std::vector<std::string>& list, const std::string& entry) {
  if (!entry.empty() && std::find(list.begin(), list.end(), entry) == list.end()) {
    list.push_back(entry);
  }
}

// When two thirds of the life are over.
WallTime renewal_time(const CertificateInfo& info) {
  return info.not_after - (info.not_after - info.not_before) / 3;
}

class Maker {
 public:
  Maker(const PkiOptions& options, WallTime now)
      : options_(options), now_(now), folder_(options.data_dir + "/pki") {}

  Result<Pki> run() {
    MOTH_TRY(make_folder(folder_, 0755));
    pki_.renew_at = WallTime::max();
    MOTH_TRY(ensure_ca());
    MOTH_ASSIGN(pki_.server, ensure_leaf("apiserver", server_request()));
    MOTH_ASSIGN(pki_.admin, ensure_leaf("admin", admin_request()));
    MOTH_TRY(ensure_signing_key());
    MOTH_TRY(ensure_kubeconfig());
    return std::move(pki_);
  }

 private:
  std::string path(std::string_view name) const { return fmt::format("{}/{}", folder_, name); }

  Result<void> write(const std::string& name, const std::string& text, unsigned mode) {
    MOTH_TRY(write_file_atomically(path(name), text, mode));
    pki_.replaced.push_back(name);
    return {};
  }

  // The key first: a crash in between leaves a pair that does not match, which is made anew.
  Result<void> write_pair(const std::string& name, const KeyPair& pair) {
    MOTH_TRY(write(name + ".key", pair.key_pem, kSecret));
    return write(name + ".crt", pair.certificate_pem, kPublic);
  }

  Result<std::optional<KeyPair>> read_pair(const std::string& name) {
    MOTH_ASSIGN(auto certificate, read_if_exists(path(name + ".crt")));
    MOTH_ASSIGN(auto key, read_if_exists(path(name + ".key")));
    if (!certificate || !key) return std::nullopt;
    return std::optional<KeyPair>(KeyPair{std::move(*certificate), std::move(*key)});
  }

  Result<void> ensure_ca() {
    MOTH_ASSIGN(auto existing, read_pair("ca"));
    if (existing) {
      auto info = inspect(existing->certificate_pem);
      if (!info) return fail(std::move(info.error().with_context(path("ca.crt"))));
      if (!info->is_ca)
        return fail(Error::bad_request(path("ca.crt") + ": is not a CA certificate"));
      if (!belongs_together(existing->certificate_pem, existing->key_pem,
                            existing->certificate_pem)) {
        return fail(
            Error::bad_request(path("ca.key") +
                               ": does not belong to ca.crt: restore it, or remove both to have a "
                               "new CA made (clients then need new kubeconfigs)"));
      }
      if (info->not_after > now_) {
        pki_.ca = std::move(*existing);
        return {};
      }
    } else {
      // Half a CA is a broken one: never replaced silently, since every client trusts it. A key
      // without a certificate is what a crash at the very first start leaves.
      MOTH_ASSIGN(auto certificate, read_if_exists(path("ca.crt")));
      if (certificate) {
        return fail(Error::bad_request(path("ca.key") +
                                       ": is missing while ca.crt exists: restore it, or remove "
                                       "ca.crt to have a new CA made"));
      }
    }
    MOTH_ASSIGN(pki_.ca, make_ca("moth-ca", options_.ca_lifetime, now_));
    return write_pair("ca", pki_.ca);
  }

  CertificateRequest server_request() const {
    CertificateRequest request;
    request.common_name = "moth-apiserver";
    request.server = true;
    request.lifetime = options_.certificate_lifetime;
    for (const std::string& name : standard_dns_names(options_.cluster_domain)) {
      push_unique(request.dns_names, name);
    }
    for (const std::string& name : options_.dns_names) push_unique(request.dns_names, name);
    for (const char* address : {"127.0.0.1", "::1"}) push_unique(request.ip_addresses, address);
    for (const std::string& address : options_.ip_addresses) {
      push_unique(request.ip_addresses, normal_address(address));
    }
    return request;
  }

  CertificateRequest admin_request() const {
    CertificateRequest request;
    request.common_name = "admin";
    request.organizations = {"system:masters"};
    request.client = true;
    request.lifetime = options_.certificate_lifetime;
    return request;
  }

  bool usable(const KeyPair& pair, const CertificateRequest& request) const {
    auto info = inspect(pair.certificate_pem);
    return info && info->common_name == request.common_name &&
           info->organizations == request.organizations && info->not_before <= now_ &&
           now_ < renewal_time(*info) && contains_all(info->dns_names, request.dns_names) &&
           contains_all(info->ip_addresses, request.ip_addresses) &&
           belongs_together(pair.certificate_pem, pair.key_pem, pki_.ca.certificate_pem);
  }

  Result<KeyPair> ensure_leaf(const std::string& name, CertificateRequest request) {
    MOTH_ASSIGN(auto existing, read_pair(name));
    KeyPair pair;
    if (existing && usable(*existing, request)) {
      pair = std::move(*existing);
    } else {
      limit_to_ca(request);
      MOTH_ASSIGN(pair, sign(pki_.ca, request, now_));
      MOTH_TRY(write_pair(name, pair));
    }
    MOTH_ASSIGN(CertificateInfo info, inspect(pair.certificate_pem));
    pki_.renew_at = std::min(pki_.renew_at, renewal_time(info));
    return pair;
  }

  // A certificate that outlives its CA would fail without notice.
  void limit_to_ca(CertificateRequest& request) const {
    auto info = inspect(pki_.ca.certificate_pem);
    if (!info) return;
    auto left = std::chrono::duration_cast<std::chrono::seconds>(info->not_after - now_);
    request.lifetime =
        std::min(request.lifetime, std::max<std::chrono::seconds>(left, std::chrono::hours(1)));
  }

  Result<void> ensure_signing_key() {
    MOTH_ASSIGN(auto key, read_if_exists(path("sa.key")));
    if (!key) {
      // Made on the way to the first start: an RSA key would take 50 to 150 ms.
      MOTH_ASSIGN(key, make_signing_key(SigningKeyType::kEcP256));
      MOTH_TRY(write("sa.key", *key, kSecret));
    }
    auto derived = public_key_of(*key);
    if (!derived) return fail(std::move(derived.error().with_context(path("sa.key"))));
    MOTH_ASSIGN(auto existing, read_if_exists(path("sa.pub")));
    if (existing != *derived) MOTH_TRY(write("sa.pub", *derived, kPublic));
    pki_.service_account_key_pem = std::move(*key);
    pki_.service_account_public_pem = std::move(*derived);
    return {};
  }

  Result<void> ensure_kubeconfig() {
    Kubeconfig config;
    const std::string user = options_.cluster_name + "-admin";
    KubeCluster& cluster = config.clusters[options_.cluster_name];
    cluster.server = options_.server_url;
    cluster.certificate_authority_pem = pki_.ca.certificate_pem;
    config.users[user].client_certificate_pem = pki_.admin.certificate_pem;
    config.users[user].client_key_pem = pki_.admin.key_pem;
    config.contexts[options_.cluster_name] = {options_.cluster_name, user, "", ""};
    config.current_context = options_.cluster_name;
    pki_.admin_kubeconfig_path = options_.data_dir + "/admin.kubeconfig";
    std::string text = to_yaml_text(config);
    MOTH_ASSIGN(auto existing, read_if_exists(pki_.admin_kubeconfig_path));
    if (existing == text) return {};
    MOTH_TRY(write_file_atomically(pki_.admin_kubeconfig_path, text, kSecret));
    pki_.replaced.emplace_back("admin.kubeconfig");
    return {};
  }

  const PkiOptions& options_;
  WallTime now_;
  std::string folder_;
  Pki pki_;
};

}  // namespace

std::vector<std::string> standard_dns_names(const std::string& cluster_domain) {
  std::vector<std::string> names = {"localhost", "kubernetes", "kubernetes.default",
                                    "kubernetes.default.svc",
                                    "kubernetes.default.svc." + cluster_domain};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) push_unique(names, host.data());
  return names;
}

Result<Pki> ensure_pki(const PkiOptions& options, WallTime now) {
  return Maker(options, now).run();
}

Result<KeyPair> make_client_certificate(const KeyPair& ca, const std::string& user,
                                        const std::vector<std::string>& groups,
                                        std::chrono::hours lifetime, WallTime now) {
  CertificateRequest request;
  request.common_name = user;
  request.organizations = groups;
  request.client = true;
  request.lifetime = lifetime;
  return sign(ca, request, now);
}

Result<void> write_file_atomically(const std::string& path, std::string_view text, unsigned mode) {
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  ::unlink(temporary.c_str());
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return fail(Error::from_errno(errno, "open " + temporary));
  int code = ::fchmod(fd, mode) == 0 ? 0 : errno;  // whatever the umask is
  while (code == 0 && !text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count >= 0)
      text.remove_prefix(static_cast<std::size_t>(count));
    else if (errno != EINTR)
      code = errno;
  }
  if (code == 0 && ::fsync(fd) != 0) code = errno;
  ::close(fd);
  if (code == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) code = errno;
  if (code != 0) {
    ::unlink(temporary.c_str());
    return fail(Error::from_errno(code, "write " + path));
  }
  auto folder = std::filesystem::path(path).parent_path();
  int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    ::fsync(folder_fd);
    ::close(folder_fd);
  }
  return {};
}

}  // namespace moth::pki

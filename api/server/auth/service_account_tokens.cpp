#include "api/server/auth/service_account_tokens.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include "api/base/json.h"
#include "api/schema/base64.h"

namespace moth::server {
namespace {

using resources::ResourceDef;

// A token of something that is being deleted is good for this long after its end.
constexpr std::chrono::seconds kDeletionGrace{60};
// What the kubelet asks for pods. Such tokens live a year, so that programs which read the file
// once go on, and are late after the time that was asked for.
constexpr std::int64_t kPodTokenSeconds = 3607;
constexpr std::chrono::seconds kExtendedLife{365 * 24 * 3600};

Error refused(std::string why) {
  return Error::of(Reason::kUnauthorized, std::move(why));
}

std::string digest_of(std::string_view token) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

// Whom a token was found to identify, and until when that may be believed without looking again.
struct Known {
  UserInfo user;
  WallTime until;
  std::vector<std::string> uids;  // of what it is bound to
};

// Least recently used tokens go first. Any thread.
class TokenCache {
 public:
  explicit TokenCache(std::size_t limit) : limit_(limit) {}

  std::optional<UserInfo> find(const std::string& digest, WallTime now) {
    std::lock_guard lock(mutex_);
    auto found = entries_.find(digest);
    if (found == entries_.end()) return std::nullopt;
    if (now >= found->second.known.until) {
      erase(found);
      return std::nullopt;
    }
    order_.splice(order_.begin(), order_, found->second.place);
    return found->second.known.user;
  }

  void add(const std::string& digest, Known known) {
    std::lock_guard lock(mutex_);
    if (auto old = entries_.find(digest); old != entries_.end()) erase(old);
    if (entries_.size() >= limit_ && !order_.empty()) erase(entries_.find(order_.back()));
    order_.push_front(digest);
    for (const std::string& uid : known.uids) by_uid_.emplace(uid, digest);
    entries_.emplace(digest, Entry{std::move(known), order_.begin()});
  }

  void forget(const std::string& uid) {
    std::lock_guard lock(mutex_);
    auto [first, last] = by_uid_.equal_range(uid);
    std::vector<std::string> digests;
    for (auto it = first; it != last; ++it) digests.push_back(it->second);
    for (const std::string& digest : digests) {
      if (auto found = entries_.find(digest); found != entries_.end()) erase(found);
    }
  }

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Known known;
    std::list<std::string>::iterator place;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void erase(Entries::iterator entry) {
    for (const std::string& uid : entry->second.known.uids) {
      auto [first, last] = by_uid_.equal_range(uid);
      for (auto it = first; it != last; ++it) {
        if (it->second != entry->first) continue;
        by_uid_.erase(it);
        break;
      }
    }
    order_.erase(entry->second.place);
    entries_.erase(entry);
  }

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::list<std::string> order_;  // the latest first
  Entries entries_;
  std::unordered_multimap<std::string, std::string> by_uid_;
};

}  // namespace

struct ServiceAccountTokens::Impl {
  Impl(Executors& the_executors, Clock& the_clock, Storage& the_storage,
       const resources::Registry& registry, RandomSource the_random, TokenOptions the_options)
      : executors(the_executors),
        clock(the_clock),
        storage(the_storage),
        accounts(*registry.find("", "v1", "serviceaccounts")),
        pods(*registry.find("", "v1", "pods")),
        secrets(*registry.find("", "v1", "secrets")),
        nodes(*registry.find("", "v1", "nodes")),
        random(std::move(the_random)),
        options(std::move(the_options)),
        keys{options.key.public_key()},
        cache(options.cache_entries) {
    if (options.api_audiences.empty()) options.api_audiences = {options.issuer};
  }

  Executors& executors;
  Clock& clock;
  Storage& storage;
  const ResourceDef &accounts, &pods, &secrets, &nodes;
  RandomSource random;
  TokenOptions options;
  std::vector<jwt::PublicKey> keys;
  TokenCache cache;

  void follow(const std::shared_ptr<Impl>& self) {
    for (const ResourceDef* def : {&accounts, &pods, &secrets, &nodes}) {
      storage.subscribe(*def, [weak = std::weak_ptr(self)](const StoreEvent& event) {
        // A deletion that has begun changes how long tokens are good; an end ends them. A Secret
        // may have got another token.
        bool matters = event.type == EventType::kDeleted ||
                       (event.previous && event.object->meta().deletion_time) ||
                       event.object->kind() == "Secret";
        if (!matters || event.type == EventType::kAdded) return;
        if (auto it = weak.lock()) it->cache.forget(event.object->uid());
      });
    }
  }

  Result<TokenClaims> parse(std::string_view token) const {
    MOTH_ASSIGN(Json claims, jwt::verify(token, keys));
    return parse_token_claims(claims, options.issuer);
  }

  // The object is there, is the one that is meant, and has not been ending for too long. Lowers
  // `until` to the end of what is being deleted.
  Result<ObjectPtr> check(const ResourceDef& def, const std::string& ns, const TokenRef& ref,
                          bool check_uid, WallTime& until) const {
    ObjectPtr object = storage.get(def, ns, ref.name);
    if (!object) return fail(refused("service account token has been invalidated"));
    if (check_uid && object->uid() != ref.uid) {
      return fail(refused(fmt::format("{} UID ({}) does not match claim ({})", def.singular,
                                      object->uid(), ref.uid)));
    }
    if (const auto& deletion = object->meta().deletion_time) {
      if (clock.wall() > *deletion + kDeletionGrace)
        return fail(refused("service account token has been invalidated"));
      until = std::min(until, *deletion + kDeletionGrace);
    }
    return object;
  }

  // Whether everything that the token is bound to is there. Control.
  Result<Known> look_up(const TokenClaims& claims, std::string_view token) const {
    Known known;
    known.until = claims.legacy ? WallTime::max() : claims.expires + std::chrono::seconds(60);
    MOTH_ASSIGN(ObjectPtr account, check(accounts, claims.ns, {claims.account, claims.account_uid},
                                         true, known.until));
    known.uids.push_back(account->uid());
    if (claims.pod) {
      MOTH_ASSIGN(ObjectPtr pod, check(pods, claims.ns, *claims.pod, true, known.until));
      known.uids.push_back(pod->uid());
    }
    // The node of a pod may go before the pod without harm: only tokens for a node itself end.
    if (claims.node && !claims.pod) {
      MOTH_ASSIGN(ObjectPtr node, check(nodes, "", *claims.node, true, known.until));
      known.uids.push_back(node->uid());
    }
    if (claims.secret) {
      MOTH_ASSIGN(ObjectPtr secret,
                  check(secrets, claims.ns, *claims.secret, !claims.legacy, known.until));
      if (claims.legacy && !holds_token(*secret, token))
        return fail(refused("service account token has been invalidated"));
      known.uids.push_back(secret->uid());
    }
    known.user = user_of(claims);
    return known;
  }

  static bool holds_token(const Object& secret, std::string_view token) {
    const Json json = secret.parse();
    const Json* data = find_path(json, "data", "token");
    return data && data->is_string() &&
           schema::decode_base64(data->get_ref<const std::string&>()) == token;
  }

  // Fills in what the token is bound to. Control.
  Result<> bind(const TokenWish& wish, TokenClaims& claims) const;
  static Result<> same_uid(const TokenWish& wish, const std::string& group, const std::string& uid);
};

Result<> ServiceAccountTokens::Impl::same_uid(const TokenWish& wish, const std::string& kind,
                                              const std::string& uid) {
  if (wish.bound_uid.empty() || wish.bound_uid == uid) return {};
  return fail(Error::conflict(
      kind, wish.bound_name,
      fmt::format("the UID in the bound object reference ({}) does not match the UID in record. "
                  "The object might have been deleted and then recreated",
                  wish.bound_uid)));
}

Result<> ServiceAccountTokens::Impl::bind(const TokenWish& wish, TokenClaims& claims) const {
  if (wish.bound_kind.empty()) return {};
  const std::string& kind = wish.bound_kind;
  if (wish.bound_api_version != "v1" || (kind != "Pod" && kind != "Secret" && kind != "Node")) {
    GroupVersion version = parse_api_version(wish.bound_api_version);
    return fail(Error::bad_request(fmt::format("cannot bind token to object of type {}/{}, Kind={}",
                                               version.group, version.version, kind)));
  }
  const ResourceDef& def = kind == "Pod" ? pods : kind == "Secret" ? secrets : nodes;
  ObjectPtr object = storage.get(def, kind == "Node" ? "" : wish.ns, wish.bound_name);
  if (!object) return fail(Error::not_found(def.resource, wish.bound_name));
  MOTH_TRY(same_uid(wish, kind, object->uid()));
  TokenRef ref{object->name(), object->uid()};
  if (kind == "Secret") claims.secret = ref;
  if (kind == "Node") claims.node = ref;
  if (kind != "Pod") return {};
  const Json pod = object->parse();
  const Json* spec = find_member(pod, "spec");
  if (!spec || string_or(*spec, "serviceAccountName") != wish.account) {
    return fail(Error::bad_request(
        fmt::format("cannot bind token for serviceaccount \"{}\" to pod running with different "
                    "serviceaccount name.",
                    wish.account)));
  }
  claims.pod = ref;
  const std::string node_name = string_or(*spec, "nodeName");
  if (node_name.empty()) return {};
  ObjectPtr node = storage.get(nodes, "", node_name);
  claims.node = TokenRef{node_name, node ? node->uid() : ""};
  return {};
}

ServiceAccountTokens::ServiceAccountTokens(Executors& executors, Clock& clock, Storage& storage,
                                           const resources::Registry& registry, RandomSource random,
                                           TokenOptions options)
    : impl_(std::make_shared<Impl>(executors, clock, storage, registry, std::move(random),
                                   std::move(options))) {
  impl_->follow(impl_);
}

ServiceAccountTokens::~ServiceAccountTokens() = default;

Task<Result<UserInfo>> ServiceAccountTokens::authenticate(std::string token) {
  Impl& it = *impl_;
  const std::string digest = digest_of(token);
  if (auto user = it.cache.find(digest, it.clock.wall())) co_return *std::move(user);
  auto claims = it.parse(token);
  if (!claims) co_return fail(Error::unauthorized());
  if (!check_token_claims(*claims, it.clock.wall(), {}, it.options.api_audiences))
    co_return fail(Error::unauthorized());
  // It enters the cache on control, where deletions take it out: so none can be missed between.
  auto known = co_await call_on(it.executors.control(), [&] {
    auto found = it.look_up(*claims, token);
    if (found) it.cache.add(digest, *found);
    return found;
  });
  if (!known) co_return fail(Error::unauthorized());
  co_return std::move(known->user);
}

Result<TokenIdentity> ServiceAccountTokens::review(
    const std::string& token, const std::vector<std::string>& audiences) const {
  MOTH_ASSIGN(TokenClaims claims, impl_->parse(token));
  MOTH_ASSIGN(auto shared, check_token_claims(claims, impl_->clock.wall(), audiences,
                                              impl_->options.api_audiences));
  MOTH_ASSIGN(Known known, impl_->look_up(claims, token));
  return TokenIdentity{std::move(known.user), std::move(shared)};
}

Task<Result<IssuedToken>> ServiceAccountTokens::issue(TokenWish wish) {
  Impl& it = *impl_;
  ObjectPtr account = it.storage.get(it.accounts, wish.ns, wish.account);
  if (!account) co_return fail(Error::not_found("serviceaccounts", wish.account));
  TokenClaims claims;
  claims.ns = wish.ns;
  claims.account = wish.account;
  claims.account_uid = account->uid();
  MOTH_CO_TRY(it.bind(wish, claims));
  const auto& api = it.options.api_audiences;
  claims.audiences = wish.audiences.empty() ? api : wish.audiences;
  claims.id = uuid_v4(it.random);
  claims.issued = claims.not_before = it.clock.wall();
  const std::chrono::seconds life(std::min<std::int64_t>(wish.seconds, std::int64_t{1} << 32));
  claims.expires = claims.issued + life;
  IssuedToken issued{"", claims.expires, claims.audiences};
  bool for_api = std::all_of(claims.audiences.begin(), claims.audiences.end(), [&](const auto& a) {
    return std::find(api.begin(), api.end(), a) != api.end();
  });
  if (claims.pod && wish.seconds == kPodTokenSeconds && for_api) {
    claims.warn_after = claims.expires;
    claims.expires = claims.issued + kExtendedLife;
  }
  auto signed_token = co_await call_on(it.executors.blocking(), [&] {
    return it.options.key.sign(to_json(claims, it.options.issuer));
  });
  if (!signed_token) co_return fail(signed_token.error());
  issued.token = *std::move(signed_token);
  co_return issued;
}

Result<std::string> ServiceAccountTokens::legacy_token(const std::string& ns,
                                                       const std::string& account,
                                                       const std::string& account_uid,
                                                       const std::string& secret) const {
  TokenClaims claims;
  claims.legacy = true;
  claims.ns = ns;
  claims.account = account;
  claims.account_uid = account_uid;
  claims.secret = TokenRef{secret, ""};
  return impl_->options.key.sign(to_json(claims, impl_->options.issuer));
}

const std::string& ServiceAccountTokens::issuer() const {
  return impl_->options.issuer;
}
const std::vector<std::string>& ServiceAccountTokens::api_audiences() const {
  return impl_->options.api_audiences;
}

std::string ServiceAccountTokens::openid_configuration(const std::string& server_url) const {
  Json algorithms = Json::array();
  for (const auto& key : impl_->keys) algorithms.push_back(key.algorithm());
  return Json{{"issuer", impl_->options.issuer},
              {"jwks_uri", server_url + "/openid/v1/jwks"},
              {"response_types_supported", {"id_token"}},
              {"subject_types_supported", {"public"}},
              {"id_token_signing_alg_values_supported", std::move(algorithms)}}
      .dump();
}

std::string ServiceAccountTokens::key_set() const {
  Json keys = Json::array();
  for (const auto& key : impl_->keys) keys.push_back(key.jwk());
  return Json{{"keys", std::move(keys)}}.dump();
}

std::size_t ServiceAccountTokens::cached() const {
  return impl_->cache.size();
}

}  // namespace moth::server

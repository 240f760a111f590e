#include "runtime/agent/resources/pod_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/machinery/time.h"

namespace moth::agent {
namespace {

constexpr std::chrono::hours kLongestUse{24};
constexpr std::chrono::seconds kJitter{10};
constexpr std::chrono::seconds kRetry{60};
// Between two looks at the wall clock, which may be set while the daemon runs.
constexpr std::chrono::minutes kLongestSleep{10};

double spread_of(const std::string& uid) {
  return static_cast<double>(std::hash<std::string>{}(uid) % 1000) / 1000;
}

}  // namespace

WallTime token_refresh_time(WallTime issued, WallTime expires, double spread) {
  auto life = expires - issued;
  WallTime when = std::min(issued + life * 4 / 5, issued + kLongestUse);
  return when - std::chrono::duration_cast<WallTime::duration>(kJitter * spread);
}

PodTokens::PodTokens(asio::any_io_executor control, Clock& clock, client::ObjectClient& client,
                     Refresh refresh)
    : clock_(clock),
      client_(client),
      refresh_(std::move(refresh)),
      changed_(control),
      scope_(control) {}

void PodTokens::start() {
  scope_.spawn("token refresh", watch());
}

Task<void> PodTokens::stop() {
  scope_.cancel();
  co_await scope_.join();
}

PodTokens::Key PodTokens::key_of(const std::string& pod_uid,
                                 const resources::ServiceAccountTokenSource& source) {
  return {pod_uid, source.audience, source.expiration.count()};
}

std::string PodTokens::version(const std::string& pod_uid,
                               const resources::ServiceAccountTokenSource& source) const {
  auto found = held_.find(key_of(pod_uid, source));
  if (found == held_.end() || clock_.wall() >= found->second.refresh_at) return "due";
  return fmt::format("{}", found->second.serial);
}

Task<Result<PodTokens::Held>> PodTokens::fetch(PodContext& pod,
                                               const resources::ServiceAccountTokenSource& source) {
  Json spec = {{"expirationSeconds", source.expiration.count()},
               {"boundObjectRef",
                {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.name}, {"uid", pod.uid}}}};
  if (!source.audience.empty()) spec["audiences"] = Json::array({source.audience});
  Json request = {{"apiVersion", "authentication.k8s.io/v1"},
                  {"kind", "TokenRequest"},
                  {"spec", std::move(spec)}};
  client::WriteOptions options;
  options.subresource = "token";
  const WallTime now = clock_.wall();
  const double spread = spread_of(pod.uid);
  const std::string account = pod.view().spec().service_account_name;
  auto answer = co_await client_.create(client::gvr::kServiceAccounts, pod.ns, std::move(request),
                                        options, account);
  if (!answer) {
    answer.error().message = fmt::format("failed to fetch token: {}", answer.error().message);
    co_return fail(std::move(answer).error());
  }
  const Json json = (*answer)->parse();
  const Json* status = find_member(json, "status");
  Held held;
  held.token = status ? string_or(*status, "token") : "";
  auto expires = parse_rfc3339(status ? string_or(*status, "expirationTimestamp") : "");
  if (held.token.empty() || !expires)
    co_return fail(Error::internal("the answer to a token request has no token"));
  held.expires = *expires;
  held.refresh_at = token_refresh_time(now, *expires, spread);
  held.serial = ++serial_;
  co_return held;
}

Task<Result<std::string>> PodTokens::get(PodContext& pod,
                                         resources::ServiceAccountTokenSource source) {
  const Key key = key_of(pod.uid, source);
  auto found = held_.find(key);
  if (found != held_.end() && clock_.wall() < found->second.refresh_at)
    co_return found->second.token;
  auto fetched = co_await fetch(pod, source);
  if (!fetched) {
    found = held_.find(key);
    if (found == held_.end() || clock_.wall() >= found->second.expires)
      co_return fail(fetched.error());
    log::warning("a pod keeps its token, since there is no new one", log::field("pod", pod.key()),
                 log::field("error", fetched.error().message));
    found->second.refresh_at = clock_.wall() + kRetry;
    co_return found->second.token;
  }
  std::string token = fetched->token;
  held_.insert_or_assign(key, *std::move(fetched));
  changed_.notify();
  co_return token;
}

void PodTokens::forget(const std::string& pod_uid) {
  auto first = held_.lower_bound({pod_uid, "", 0});
  auto last = first;
  while (last != held_.end() && std::get<0>(last->first) == pod_uid) ++last;
  held_.erase(first, last);
}

// Sleeps until the next token is due, or until there are others.
Task<void> PodTokens::watch() {
  using namespace asio::experimental::awaitable_operators;
  for (;;) {
    const WallTime now = clock_.wall();
    WallTime next = WallTime::max();
    std::set<std::string> due;
    for (const auto& [key, held] : held_) {
      if (held.refresh_at <= now) due.insert(std::get<0>(key));
      next = std::min(next, held.refresh_at);
    }
    if (!due.empty()) {
      refresh_(due);
      // Whoever does not come for it is asked again.
      next = now + kRetry;
    }
    if (held_.empty()) {
      co_await changed_.wait();
      continue;
    }
    Duration pause = std::clamp<Duration>(std::chrono::duration_cast<Duration>(next - now),
                                          std::chrono::seconds(1), kLongestSleep);
    co_await (changed_.wait() || clock_.sleep_for(pause));
  }
}

}  // namespace moth::agent

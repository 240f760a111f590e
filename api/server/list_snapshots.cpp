#include "api/server/list_snapshots.h"

#include <algorithm>

#include "api/base/json.h"
#include "api/schema/base64.h"

namespace moth::server {
namespace {

// As long as upstream keeps history [etcd compaction interval].
constexpr auto kLifetime = std::chrono::minutes(5);

std::string key_of(const Object& object) {
  return object.ns() + "/" + object.name();
}

std::string make_token(std::uint64_t snapshot, std::uint64_t revision, const std::string& after) {
  return schema::encode_base64(
      Json{{"v", 1}, {"s", snapshot}, {"rv", revision}, {"after", after}}.dump());
}

}  // namespace

ListSnapshots::ListSnapshots(Clock& clock, std::size_t max_snapshots)
    : clock_(clock), max_snapshots_(max_snapshots) {}

Result<ContinueToken> ListSnapshots::parse_token(std::string_view text) {
  auto invalid = [] { return fail(Error::bad_request("continue key is not valid")); };
  auto decoded = schema::decode_base64(text);
  if (!decoded) return invalid();
  Json json = Json::parse(*decoded, nullptr, false);
  const Json* snapshot = find_member(json, "s");
  const Json* revision = find_member(json, "rv");
  const Json* after = find_member(json, "after");
  bool good = snapshot && snapshot->is_number_unsigned() && revision &&
              revision->is_number_unsigned() && after && after->is_string();
  if (!good) return invalid();
  return ContinueToken{snapshot->get<std::uint64_t>(), revision->get<std::uint64_t>(),
                       after->get<std::string>()};
}

void ListSnapshots::expire() {
  MonoTime oldest = clock_.mono() - kLifetime;
  std::erase_if(snapshots_, [&](const Snapshot& snapshot) { return snapshot.used < oldest; });
  while (snapshots_.size() > max_snapshots_) snapshots_.pop_back();
}

ListPage ListSnapshots::page(const std::vector<ObjectPtr>& objects, std::size_t begin,
                             std::size_t limit, std::uint64_t snapshot,
                             std::uint64_t revision) const {
  ListPage result;
  result.revision = revision;
  std::size_t end = std::min(objects.size(), begin + limit);
  result.objects.assign(objects.begin() + static_cast<std::ptrdiff_t>(begin),
                        objects.begin() + static_cast<std::ptrdiff_t>(end));
  if (end < objects.size()) {
    result.continue_token = make_token(snapshot, revision, key_of(*objects[end - 1]));
    result.remaining = static_cast<std::int64_t>(objects.size() - end);
  }
  return result;
}

ListPage ListSnapshots::first_page(std::vector<ObjectPtr> objects, std::uint64_t revision,
                                   std::size_t limit, const std::string& path) {
  if (limit == 0 || objects.size() <= limit) return {std::move(objects), revision, "", -1};
  snapshots_.push_front({next_id_++, path, clock_.mono(), std::move(objects), revision});
  expire();
  const Snapshot& kept = snapshots_.front();
  return page(kept.objects, 0, limit, kept.id, revision);
}

Result<ListPage> ListSnapshots::next_page(const ContinueToken& token, std::size_t limit,
                                          const std::string& path) {
  expire();
  auto found = std::find_if(snapshots_.begin(), snapshots_.end(), [&](const Snapshot& snapshot) {
    return snapshot.id == token.snapshot;
  });
  if (found == snapshots_.end()) {
    Error error = Error::expired(
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve "
        "the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list - objects "
        "that were "
        "created, modified, or deleted between the time the first chunk was returned and now may "
        "show up in the "
        "list.");
    error.continue_token = make_token(0, 0, token.after);
    return fail(std::move(error));
  }
  if (found->path != path) return fail(Error::bad_request("continue key is not valid"));
  found->used = clock_.mono();
  snapshots_.splice(snapshots_.begin(), snapshots_, found);
  auto begin = std::upper_bound(
      found->objects.begin(), found->objects.end(), token.after,
      [](const std::string& after, const ObjectPtr& object) { return after < key_of(*object); });
  if (limit == 0) limit = found->objects.size();
  return page(found->objects, static_cast<std::size_t>(begin - found->objects.begin()), limit,
              found->id, found->revision);
}

}  // namespace moth::server

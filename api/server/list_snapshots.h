#pragma once
// Paged lists: the rest of a list is kept for a while, so that all pages show one revision. A token
// whose snapshot is gone still tells where to go on. io executor.
#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/machinery/object.h"

namespace moth::server {

struct ListPage {
  std::vector<ObjectPtr> objects;
  std::uint64_t revision = 0;
  std::string continue_token;   // empty: this was the last page
  std::int64_t remaining = -1;  // objects behind this page, -1: not told
};

// What a continue token says.
struct ContinueToken {
  std::uint64_t snapshot = 0;  // 0: go on in the present state
  std::uint64_t revision = 0;
  std::string after;  // key of the last object sent, "ns/name"
};

class ListSnapshots {
 public:
  ListSnapshots(Clock& clock, std::size_t max_snapshots);

  static Result<ContinueToken> parse_token(std::string_view text);

  // The first `limit` objects; the rest is kept. `path` is that of the request.
  ListPage first_page(std::vector<ObjectPtr> objects, std::uint64_t revision, std::size_t limit,
                      const std::string& path);
  // The next page of a snapshot. Expired with a token for the present state when it is gone;
  // BadRequest when it is one of another path.
  Result<ListPage> next_page(const ContinueToken& token, std::size_t limit,
                             const std::string& path);

 private:
  struct Snapshot {
    std::uint64_t id;
    std::string path;
    MonoTime used;
    std::vector<ObjectPtr> objects;
    std::uint64_t revision;
  };
  ListPage page(const std::vector<ObjectPtr>& objects, std::size_t begin, std::size_t limit,
                std::uint64_t snapshot, std::uint64_t revision) const;
  void expire();

  Clock& clock_;
  std::size_t max_snapshots_;
  std::uint64_t next_id_ = 1;
  std::list<Snapshot> snapshots_;  // the one used last in front
};

}  // namespace moth::server

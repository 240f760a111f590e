#pragma once
// metadata.managedFields: a JSON array with one entry for each manager, operation, version and
// subresource, in upstream's order. The functions work on the array itself. Pure; any thread.
#include <optional>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"

namespace moth::apply {

inline constexpr std::size_t kMaxUpdateManagers = 10;
inline constexpr std::size_t kMaxManagerName = 128;

enum class Operation { kApply, kUpdate };

// Who writes what.
struct Writer {
  std::string manager;
  Operation operation = Operation::kUpdate;
  std::string api_version;  // of the request
  std::string subresource;
  std::string time;  // RFC 3339
};

// The manager of a write that names none: the User-Agent up to its first slash, without what cannot
// be printed, cut at kMaxManagerName bytes; "unknown" when that is empty.
std::string manager_of_user_agent(std::string_view user_agent);

// What the field manager of a request may not be; empty when it is right.
std::string fault_of_manager(std::string_view manager);

// The array that a write starts from. Clients may replace it, except through a subresource: [] or
// [{}] drops it, anything well-formed takes its place, anything else leaves the live one.
Json managed_to_start_with(Json live, const Json* wanted, bool subresource);

// An array from canonical text whose entries' fieldsV1 stay text (raw_json) until fields_of() is
// asked for them: most writes concern one entry of several. An array with such entries can be
// written into an object, and be given to these functions and to track_update().
Json lazy_entries(std::string_view text);
// The field set of an entry.
Json& fields_of(Json& entry);
// False when the entry, as text, shows that it has nothing of what `set` has at its first level.
bool may_have(const Json& entry, const Json& set);

// The entry of `writer`, or null. An Apply entry is one for all versions, an Update entry one for
// each.
Json* find_entry(Json& managed, const Writer& writer);
const std::string& entry_text(const Json& entry, std::string_view field);  // "" when absent

// Merges the oldest Update entries into "ancient-changes" until kMaxUpdateManagers are left.
void cap_updates(Json& managed);
void sort_entries(Json& managed);
// Whether both say the same but for their times.
bool same_but_times(const Json& a, const Json& b);

}  // namespace moth::apply

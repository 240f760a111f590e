#pragma once
// Ledger: what the objects of each namespace use of its quotas, kept as objects come and go, so
// that neither admission nor the controller adds up a whole namespace for each write. Namespaces
// without a quota cost a look-up. Not thread-safe.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/quota/usage.h"

namespace moth::resources::quota {

class Ledger {
 public:
  // Everything of `qualified` resource in a namespace, as committed; "" is all namespaces.
  using List =
      std::function<std::vector<ObjectPtr>(const std::string& qualified, const std::string& ns)>;
  // Asks for change() to be called for every later change of the resource; false when there is no
  // such resource (yet).
  using Watch = std::function<bool(const std::string& qualified)>;

  Ledger(List list, Watch watch);
  ~Ledger();

  // A quota that came, changed, or (null) went. Objects are read at the next question.
  void set_quota(const std::string& ns, const std::string& name, const ObjectPtr& quota);
  // A committed change of an object; null: it is gone.
  void change(const std::string& qualified, const std::string& ns, const std::string& uid,
              const Object* object);

  bool has_quota(const std::string& ns) const { return spaces_.contains(ns); }
  std::vector<ObjectPtr> quotas(const std::string& ns) const;
  // Whether a quota of the namespace counts objects of the resource.
  bool counts(const std::string& ns, const std::string& qualified);
  // What counts against the quota, for each name in its spec.hard; null: no such quota.
  const ResourceList* used(const std::string& ns, const std::string& quota, WallTime now);
  // The entry of an object, if it is known.
  const Usage* entry(const std::string& ns, const std::string& uid) const;

  // An object that is about to be stored. Until its commit is told by change(), it counts as
  // `usage` whatever else is told. undo() takes the last charge of it back.
  void charge(const std::string& qualified, const std::string& ns, const std::string& uid,
              Usage usage);
  void undo(const std::string& ns, const std::string& uid);
  // A resource may have come that quotas of unknown resources wait for.
  void resources_changed();

 private:
  struct Quota {
    ObjectPtr object;
    ResourceList hard;
    std::vector<QuotaScope> scopes;
    ResourceList used;
  };
  struct Entry {
    std::string qualified;
    Usage usage;
    int pending = 0;  // charges whose commit is still to be told
    std::vector<std::optional<Usage>> before;
  };
  struct Space {
    std::map<std::string, Quota> quotas;
    std::map<std::string, Entry> entries;  // by uid
    std::set<std::string> loaded;          // resources whose objects are in `entries`
    std::multimap<WallTime, std::string> ends;
    bool stale = true;  // quotas changed: load what is missing, add up anew
  };

  void refresh(const std::string& ns, Space& space);
  void put(Space& space, const std::string& uid, Entry& entry, Usage usage);
  void add_to_quotas(Space& space, const Usage& usage, int sign);
  void expire(Space& space, WallTime now);

  List list_;
  Watch watch_;
  std::map<std::string, Space> spaces_;
  std::set<std::string> watched_;
};

}  // namespace moth::resources::quota

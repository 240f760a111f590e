#pragma once
// TestCluster: a control plane in one process and on one thread: the store (in memory), the
// server's pipeline with the real registry and admission, controllers, the scheduler and a fake
// node, on a clock that only moves when it is told to.
//
//   TestCluster cluster;
//   cluster.add(controllers::make_replicaset_controller);
//   cluster.start();
//   cluster.apply(yaml);
//   ASSERT_TRUE(cluster.wait_until([&] { return ...; }));
//
// Everything runs inside settle(), wait_until(), advance() and the writes, on the calling thread,
// which is the control thread: views and DOMs may be used between them.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"  // tests compare what they get
#include "api/client/object_client.h"
#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"
#include "tests/support/cluster/fake_node.h"

namespace moth::test {

inline constexpr const char* kNodeName = "test-node";

struct ClusterOptions {
  bool with_scheduler = true;  // false: pods stay pending until bind()
  bool with_node = true;       // false: nobody writes statuses of pods
  std::string node_cpu = "64", node_memory = "256Gi", node_pods = "1000";
};

class TestCluster {
 public:
  using MakeController =
      std::function<std::unique_ptr<controllers::Controller>(controllers::ControllerContext)>;

  explicit TestCluster(ClusterOptions options = {});
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  // Before start().
  void add(const MakeController& make);
  // The namespaces default and kube-system and the node are there afterwards.
  void start();

  // Creates each object of the documents, or changes it by a strategic merge patch as `kubectl
  // apply` would. Fails the test when the server refuses. Returns the last one.
  ObjectPtr apply(std::string_view yaml);
  Result<ObjectPtr> create(const Gvr& gvr, const std::string& ns, Json object);
  // By a JSON merge patch.
  Result<ObjectPtr> patch(const Gvr& gvr, const std::string& ns, const std::string& name,
                          Json patch, const std::string& subresource = "");
  Result<> remove(const Gvr& gvr, const std::string& ns, const std::string& name,
                  client::DeleteOptions options = {});
  Result<> scale(const Gvr& gvr, const std::string& ns, const std::string& name, int replicas);

  // Committed state.
  ObjectPtr get(const Gvr& gvr, const std::string& ns, const std::string& name) const;
  std::vector<ObjectPtr> list(const Gvr& gvr, const std::string& ns = "") const;
  // A member of an object by JSON pointer; null when there is none.
  Json field(const Gvr& gvr, const std::string& ns, const std::string& name,
             const std::string& pointer) const;
  // "Reason: message" of the events about an object, oldest first.
  std::vector<std::string> events(const std::string& kind, const std::string& name) const;

  // How pods behave from now on; those that run are looked at anew.
  void set_behaviour(BehaviourOf behaviour);

  // Runs until nothing is left to do without time passing.
  void settle();
  // Settles, and lets time pass from one timer to the next, until the condition holds; false when
  // `limit` of the fake clock has passed.
  bool wait_until(const std::function<bool()>& condition,
                  Duration limit = std::chrono::minutes(30));
  // Lets time pass, stopping at every timer on the way.
  void advance(Duration duration);

  FakeClock& clock();
  client::ObjectReader& reader();
  client::ObjectClient& client();
  resources::Registry& registry();
  std::uint64_t revision() const;  // of the store
  // Runs a coroutine to its end (10 s of real time at most).
  Result<ObjectPtr> run(Task<Result<ObjectPtr>> task);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moth::test

#pragma once
// Driver: the Runtime over an OCI runtime binary (runc; crun by configuration), one shim a
// container.
#include <memory>
#include <string>

#include "api/base/executors.h"
#include "runtime/cgroups/manager.h"
#include "runtime/oci/runtime.h"
#include "runtime/oci/spec_builder.h"
#include "runtime/shim/client.h"

namespace moth::oci {

struct DriverOptions {
  shim::Programs programs;
  int parallel_starts = 0;  // 0: twice the number of processors
  HostFacts host;
  std::string shim_cgroup;  // group of the shims, made by the caller; empty: the daemon's own
};

class Driver final : public Runtime {
 public:
  // Finds the programs and asks the runtime for its version. NotFound with the remedy when one is
  // missing. `executors` and `cgroups` outlive the driver.
  static Result<std::unique_ptr<Driver>> create(Executors& executors, cgroups::Manager& cgroups,
                                                DriverOptions options);
  ~Driver() override;

  Task<Result<std::unique_ptr<shim::Container>>> start(CreateRequest request) override;
  Task<Result<std::unique_ptr<shim::Container>>> adopt(std::string id, std::string bundle) override;
  void remove(std::string id, std::string bundle, std::string cgroups_path) override;
  Task<void> removed() override;
  Task<Result<shim::Started>> start_pause(std::string record_path, std::string cgroups_path,
                                          std::string ipc_namespace, std::string uts_namespace,
                                          std::string net_namespace) override;
  Result<shim::Started> adopt_pause(const std::string& record_path) override;
  std::string version() const override;

  // Cancels the background work and waits for it. Containers stay.
  Task<void> stop();

 private:
  struct State;
  static Task<void> remove_in_background(std::shared_ptr<State> state, std::string id,
                                         std::string bundle, std::string cgroups_path);
  explicit Driver(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace moth::oci

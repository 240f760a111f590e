#pragma once
// The Container behind a moth-shim. Internal to this folder.
#include <optional>
#include <string>

#include "runtime/shim/container.h"
#include "runtime/shim/exec_session.h"

namespace moth::shim {

class ShimContainer final : public Container {
 public:
  ShimContainer(std::string id, std::string bundle, ExecTarget target);
  const std::string& id() const override { return id_; }
  const Started& started() const override { return target_.started; }
  Task<Result<Exit>> wait() override;
  Result<void> signal(int number) override;
  Task<Result<std::unique_ptr<Streams>>> attach() override;
  Task<Result<std::unique_ptr<ExecSession>>> exec(ExecRequest request) override;
  Task<Result<ProbeResult>> run_command(std::vector<std::string> argv, Duration timeout,
                                        std::size_t max_output) override;

 private:
  Task<Result<std::optional<Exit>>> wait_on_socket();
  Task<void> wait_for_orphan();

  std::string id_, bundle_;
  ExecTarget target_;
  std::optional<Exit> exit_;
};

}  // namespace moth::shim

#include "daemon/controllers/framework/controller.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace moth::controllers {
namespace {

// Fails with the error it is given.
class Failing final : public Controller {
 public:
  explicit Failing(Error error) : error_(std::move(error)) {}
  std::string_view name() const override { return "failing"; }
  void subscribe(WorkQueue& queue) override { queue.add({"shop", "web"}); }
  Task<Result<Requeue>> reconcile(Key) override { co_return fail(error_); }

 private:
  Error error_;
};

struct Outcome {
  std::uint64_t errors = 0;
  int failures = 0;
  bool logged = false;
};

Outcome run(Error error) {
  FakeClock clock;
  asio::io_context context;
  ControllerRunner runner(context.get_executor(), clock,
                          std::make_unique<Failing>(std::move(error)));
  testing::internal::CaptureStderr();
  runner.start();
  context.poll();
  EXPECT_EQ(runner.reconciles(), 1u);
  Outcome outcome{runner.errors(), runner.queue().failures({"shop", "web"}),
                  !testing::internal::GetCapturedStderr().empty()};
  asio::co_spawn(context, runner.stop(), asio::detached);
  context.restart();
  context.poll();
  return outcome;
}

TEST(ControllerRunner, AnErrorIsToldAndComesBack) {
  Outcome outcome = run(Error::forbidden("configmaps", "a", "no"));
  EXPECT_EQ(outcome.errors, 1u);
  EXPECT_EQ(outcome.failures, 1);
  EXPECT_TRUE(outcome.logged);
}

// A namespace that goes takes everything along.
TEST(ControllerRunner, ATerminatingNamespaceIsNoError) {
  Error error = Error::forbidden("endpointslices", "web-1", "being terminated");
  error.causes.push_back({"NamespaceTerminating", "namespace shop is being terminated", ""});
  Outcome outcome = run(std::move(error));
  EXPECT_EQ(outcome.errors, 0u);
  EXPECT_EQ(outcome.failures, 0);
  EXPECT_FALSE(outcome.logged);
}

}  // namespace
}  // namespace moth::controllers

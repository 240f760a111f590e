#include "api/base/metrics.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "api/base/log.h"

namespace moth::metrics {
namespace {

TEST(Metrics, ExposesInOrderWithHelpAndType) {
  Registry registry;
  registry.gauge("zz_temperature", "How warm.\nReally.").set(-1.5);
  registry.counter("aa_total", "Things.").add(3);
  EXPECT_EQ(registry.expose(),
            "# HELP aa_total Things.\n# TYPE aa_total counter\naa_total 3\n"
            "# HELP zz_temperature How warm.\\nReally.\n# TYPE zz_temperature gauge\n"
            "zz_temperature -1.5\n");
}

TEST(Metrics, LabelsAreEscapedAndOneSeriesEach) {
  Registry registry;
  auto& requests = registry.counters("requests_total", "R.", {"verb", "path"});
  requests.with({"GET", "/a\"b\\c\nd"}).add();
  requests.with({"GET", "/a\"b\\c\nd"}).add();
  requests.with({"PUT"}).add();
  requests.with({"PUT", "", "surplus"}).add();
  EXPECT_EQ(registry.expose(),
            "# HELP requests_total R.\n# TYPE requests_total counter\n"
            "requests_total{verb=\"GET\",path=\"/a\\\"b\\\\c\\nd\"} 2\n"
            "requests_total{verb=\"PUT\",path=\"\"} 2\n");
}

TEST(Metrics, HistogramsAreCumulative) {
  Registry registry;
  auto& histogram = registry.histogram("t_seconds", "T.", {0.1, 1});
  for (double value : {0.05, 0.1, 0.5, 30.0}) histogram.observe(value);
  EXPECT_EQ(registry.expose(),
            "# HELP t_seconds T.\n# TYPE t_seconds histogram\n"
            "t_seconds_bucket{le=\"0.1\"} 2\nt_seconds_bucket{le=\"1\"} 3\n"
            "t_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_sum 30.65\nt_seconds_count 4\n");
  auto& labelled = registry.histograms("u_seconds", "U.", {"k"}, {1});
  labelled.with({"v"}).observe(2);
  EXPECT_NE(registry.expose().find("u_seconds_bucket{k=\"v\",le=\"1\"} 0\n"), std::string::npos);
  EXPECT_NE(registry.expose().find("u_seconds_count{k=\"v\"} 1\n"), std::string::npos);
}

TEST(Metrics, SpecialNumbers) {
  Registry registry;
  auto& gauge = registry.gauge("g", "");
  gauge.set(std::numeric_limits<double>::infinity());
  EXPECT_NE(registry.expose().find("\ng +Inf\n"), std::string::npos);
  gauge.set(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(registry.expose().find("\ng NaN\n"), std::string::npos);
  gauge.set(1e10);
  EXPECT_NE(registry.expose().find("\ng 10000000000\n"), std::string::npos);
}

TEST(Metrics, TheNumberOfSeriesIsBounded) {
  Registry registry;
  auto& family = registry.gauges("g", "", {"id"});
  Gauge& first = family.with({"first"});
  for (int i = 0; i < 5000; ++i) family.with({std::to_string(i)}).add(1);
  std::string text = registry.expose();
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 1003);
  EXPECT_EQ(family.with({"other"}).value(), 4001);
  EXPECT_EQ(&family.with({"first"}), &first);
}

TEST(Metrics, TheSameNameIsTheSameMetricAndAnotherTypeABug) {
  log::set_level(log::Level::kInfo);
  Registry registry;
  EXPECT_EQ(&registry.counter("a_total", "A."), &registry.counter("a_total", "A."));
  EXPECT_DEATH(registry.gauge("a_total", "A."), "registered twice");
}

TEST(Metrics, CollectorsAreAskedWhileTheyLive) {
  Registry registry;
  int asked = 0;
  auto subscription = registry.collect("pods", "P.", {"phase"}, [&] {
    ++asked;
    return std::vector<Sample>{{{"Running"}, 3}, {{"Failed"}, 1}};
  });
  EXPECT_EQ(registry.expose(),
            "# HELP pods P.\n# TYPE pods gauge\npods{phase=\"Running\"} 3\n"
            "pods{phase=\"Failed\"} 1\n");
  subscription.reset();
  EXPECT_EQ(registry.expose(), "");
  EXPECT_EQ(asked, 1);
}

TEST(Metrics, CountsFromManyThreads) {
  Registry registry;
  auto& counter = registry.counter("a_total", "");
  auto& histogram = registry.histogram("h", "", latency_buckets());
  auto& family = registry.counters("f_total", "", {"k"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) {
        counter.add();
        histogram.observe(0.001 * i);
        family.with({std::to_string((t + i) % 3)}).add();
        if (i % 1000 == 0) registry.expose();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 20000);
  EXPECT_EQ(histogram.count(), 20000u);
  double sum = 0;
  for (const char* k : {"0", "1", "2"}) sum += family.with({k}).value();
  EXPECT_EQ(sum, 20000);
}

}  // namespace
}  // namespace moth::metrics

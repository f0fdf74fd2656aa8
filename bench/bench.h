// What every benchmark shares: the devices, memory, time by the GPU's own clock, and the way into the report.
//
// A benchmark is named <operation>/<formats>/<shape>/<graph|eager>/<who>. It verifies before it times: a subject is
// made by a function that throws where the results are not those of the cpu backend, bit for bit, and the program then
// fails.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "lowbit/lowbit.hpp"
#include "subject.h"

namespace benchmark {
class State;
}

namespace lowbit::bench {

enum class Mode { graph, eager };

// Keeps what was made last: benchmarks that follow each other share operands, and device memory holds one set of them.
template <typename T>
class Latest {
 public:
  template <typename Make>
  std::shared_ptr<T> get(const std::string& key, Make make) {
    if (key != key_ || value_ == nullptr) {
      value_.reset();
      value_ = std::make_shared<T>(make());
      key_ = key;
    }
    return value_;
  }

 private:
  std::string key_;
  std::shared_ptr<T> value_;
};

void check(cudaError_t error);  // throws

class Bench {
 public:
  // `is_smoke`: few calls on small shapes, to show that everything works and not how fast. Throws lowbit::Error where
  // there is no GPU.
  explicit Bench(bool is_smoke);
  ~Bench();

  // Registers `<name>/<mode>/<who>`. Where `make` throws the benchmark fails.
  void add(const std::string& name, const std::string& who, std::initializer_list<Mode> modes,
           std::function<Subject()> make);

  const Device& gpu() const { return gpu_; }
  const Stream& stream() const { return stream_; }
  cudaStream_t native() const { return static_cast<cudaStream_t>(stream_.native()); }
  const Device& cpu() const { return cpu_; }
  const Stream& cpu_stream() const { return cpu_stream_; }

  // An axis of a shape in the tables: itself, or a short one in a smoke test.
  int64_t axis(int64_t length) const {
    return is_smoke_ ? std::max(std::min<int64_t>(length, 72), length / 64) : length;
  }
  // Sets of operands that exceed five times L2 together.
  int copies_of(double bytes) const;

  template <typename T>
  Buffer upload(const std::vector<T>& host) const {
    Buffer buffer(gpu_, host.size() * sizeof(T));
    stream_.upload(buffer, host);
    stream_.synchronize();
    return buffer;
  }
  // `count` elements from `first` on.
  template <typename T>
  std::vector<T> download(const Buffer& buffer, int64_t first, int64_t count) const {
    std::vector<T> host(static_cast<size_t>(count));
    lowbit::check(lowbit_copy_to_host(stream_.get(), host.data(), buffer.data(),
                                      static_cast<uint64_t>(first) * sizeof(T), host.size() * sizeof(T)));
    stream_.synchronize();
    return host;
  }

  bool has_failed() const { return has_failed_; }

 private:
  void run(benchmark::State& state, Mode mode, const Subject& subject) const;
  // The GPU's time for what `enqueue` puts into the stream.
  double seconds(const std::function<void()>& enqueue) const;

  bool is_smoke_, has_failed_ = false;
  Device gpu_, cpu_;
  Stream stream_, cpu_stream_;
  cudaDeviceProp properties_{};
  cudaEvent_t start_ = nullptr, end_ = nullptr;
  double copy_speed_ = 0;  // bytes read and written a second
  Latest<Subject> subject_;
};

// A gigabyte from device memory to device memory.
Subject make_copy(const Bench& bench);

// The tables of benchmarks.
void add_floors(Bench& bench);  // that copy, and a kernel that does nothing
void add_projections(Bench& bench);
void add_quantize_pack(Bench& bench);
void add_rho(Bench& bench);

}  // namespace lowbit::bench

// Robobrain's extension module of NEST: the same neurons in less memory, a log of their spikes, and counters of spikes
// and sources of Poisson trains that are read and written past NEST.

// NEST's headers look for Boost where it was built with it; nothing here needs it.
#include "config.h"
#undef HAVE_BOOST

#include "nest_extension_interface.h"

#include "counter.h"
#include "neuron.h"
#include "rate_source.h"
#include "relay.h"
#include "synapse.h"

namespace robobrain
{

class Module : public nest::NESTExtensionInterface
{
public:
  // NEST calls it when the module is loaded and again when the number of threads changes; there are no nodes then.
  void
  initialize() override
  {
    const size_t threads = nest::kernel().vp_manager.get_num_threads();
    inboxes.assign( threads, {} );
    spike_logs.assign( threads, {} );
    counts.clear();
    rates.clear();
    auto& models = nest::kernel().model_manager;
    models.register_node_model< PackedAlpha >( "iaf_psc_alpha_packed" );
    models.register_node_model< PackedExponential >( "iaf_psc_exp_packed" );
    models.register_node_model< PackedPorts >( "iaf_psc_alpha_multisynapse_packed" );
    models.register_node_model< PackedRelay >( "parrot_neuron_packed" );
    models.register_node_model< PackedCounter >( "spike_counter_packed" );
    models.register_node_model< PackedRateSource >( "rate_source_packed" );
    models.register_connection_model< PackedSynapse >( "static_synapse_packed" );
  }
};

}

robobrain::Module robobrainmodule_LTX_module;

extern "C"
{

// Gives the address of the spikes that a thread has logged, and returns their number.
size_t
robobrain_logged_spikes( const size_t thread, const std::int64_t** spikes )
{
  const auto& log = robobrain::spike_logs.at( thread );
  *spikes = log.data();
  return log.size();
}

void
robobrain_forget_spikes()
{
  for ( auto& log : robobrain::spike_logs )
  {
    log.clear();
  }
}

// Makes so many counts and returns the first; their age tells a later network's from them.
size_t
robobrain_make_counts( const size_t number, size_t* age )
{
  *age = robobrain::counts.age();
  return robobrain::counts.make( number );
}

// Returns whether the counts are still there, and copied.
bool
robobrain_copy_counts( const size_t age, const size_t first, const size_t number, double* to )
{
  const double* from = robobrain::counts.find( age, first, number );
  if ( from )
  {
    std::copy_n( from, number, to );
  }
  return from;
}

// Makes so many rates and returns the first; their age tells a later network's from them.
size_t
robobrain_make_rates( const size_t number, size_t* age )
{
  *age = robobrain::rates.age();
  return robobrain::rates.make( number );
}

// Returns whether the rates (Hz) are still there, and set.
bool
robobrain_set_rates( const size_t age, const size_t first, const size_t number, const double* from )
{
  double* to = robobrain::rates.find( age, first, number );
  if ( to )
  {
    std::copy_n( from, number, to );
  }
  return to;
}

}

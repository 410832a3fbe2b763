// NEST's inhomogeneous_poisson_generator with a rate that is written without asking NEST: it draws the same trains.

#ifndef ROBOBRAIN_RATE_SOURCE_H
#define ROBOBRAIN_RATE_SOURCE_H

#include "event_delivery_manager_impl.h"
#include "kernel_manager.h"
#include "places.h"
#include "random_generators.h"
#include "stimulation_device.h"

namespace robobrain
{

// The rates (Hz) of all sources.
inline Places rates;

class PackedRateSource : public nest::StimulationDevice
{
public:
  using Node::event_hook;

  size_t
  send_test_event( Node& target, const size_t receptor, const nest::synindex synapse, const bool dummy ) override
  {
    enforce_single_syn_type( synapse );
    if ( dummy )
    {
      nest::DSSpikeEvent event;
      event.set_sender( *this );
      return target.handles_test_event( event, receptor );
    }
    nest::SpikeEvent event;
    event.set_sender( *this );
    return target.handles_test_event( event, receptor );
  }

  void
  get_status( Dictionary& status ) const override
  {
    status[ PLACE ] = static_cast< long >( place_ );
    StimulationDevice::get_status( status );
  }

  void
  set_status( const Dictionary& status ) override
  {
    const size_t place = rates.chosen( status, place_ );
    StimulationDevice::set_status( status );
    place_ = place;
  }

  Type
  get_type() const override
  {
    return Type::SPIKE_GENERATOR;
  }

private:
  void
  pre_run_hook() override
  {
    rates.check( place_ );
    StimulationDevice::pre_run_hook();
  }

  void
  update( const nest::Time& origin, const long from, const long to ) override
  {
    const double per_ms = rates[ place_ ] / 1000.0;
    if ( not( per_ms > 0 ) )
    {
      return;
    }
    spikes_in_a_step_ = Distribution::param_type( per_ms * nest::Time::get_resolution().get_ms() );
    for ( long lag = from; lag < to; ++lag )
    {
      if ( is_active( nest::Time::step( origin.get_steps() + lag ) ) )
      {
        nest::DSSpikeEvent event;
        nest::kernel().event_delivery_manager.send( *this, event, lag );
      }
    }
  }

  void
  event_hook( nest::DSSpikeEvent& event ) override
  {
    const long spikes = distribution_( nest::get_vp_specific_rng( get_thread() ), spikes_in_a_step_ );
    if ( spikes > 0 )
    {
      event.set_multiplicity( spikes );
      event.get_receiver().handle( event );
    }
  }

  using Distribution = nest::poisson_distribution;

  size_t place_ = Places::NONE;
  Distribution distribution_;
  Distribution::param_type spikes_in_a_step_;
};

}

#endif

// The equations of NEST's iaf_psc_alpha, iaf_psc_exp and iaf_psc_alpha_multisynapse, operation by operation: results
// are equal to the last bit.
//
// Parameters and the propagators that follow from them are the same for most neurons of a population; neurons
// that have the same ones share them, so that the state of a neuron is all that an update has to fetch.

#ifndef ROBOBRAIN_DYNAMICS_H
#define ROBOBRAIN_DYNAMICS_H

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "dict_util.h"
#include "exceptions.h"
#include "iaf_propagator.h"
#include "inbox.h"
#include "nest_names.h"
#include "numerics.h"

namespace robobrain
{

// Times in ms, capacitance in pF, potentials in mV; all but e_l relative to e_l.
struct Membrane
{
  double tau_m = 10.0;
  double c_m = 250.0;
  double t_ref = 2.0;
  double e_l = -70.0;
  double v_reset = 0.0;
  double threshold = 15.0;

  auto operator<=>( const Membrane& ) const = default;

  void
  get( Dictionary& status ) const
  {
    namespace names = nest::names;
    status[ names::tau_m ] = tau_m;
    status[ names::C_m ] = c_m;
    status[ names::t_ref ] = t_ref;
    status[ names::E_L ] = e_l;
    status[ names::V_reset ] = v_reset + e_l;
    status[ names::V_th ] = threshold + e_l;
  }

  // Returns by how much e_l moved.
  double
  set( const Dictionary& status, nest::Node* node )
  {
    namespace names = nest::names;
    using nest::update_value_param;
    const double before = e_l;
    update_value_param( status, names::E_L, e_l, node );
    const double moved = e_l - before;
    v_reset -= update_value_param( status, names::V_reset, v_reset, node ) ? e_l : moved;
    threshold -= update_value_param( status, names::V_th, threshold, node ) ? e_l : moved;
    update_value_param( status, names::tau_m, tau_m, node );
    update_value_param( status, names::C_m, c_m, node );
    update_value_param( status, names::t_ref, t_ref, node );
    if ( not( v_reset < threshold ) )
    {
      throw nest::BadProperty( "V_reset must be below V_th." );
    }
    if ( not( c_m > 0 and tau_m > 0 and t_ref >= 0 ) )
    {
      throw nest::BadProperty( "C_m and tau_m must be positive, and t_ref not negative." );
    }
    return moved;
  }

  int
  refractory_steps() const
  {
    return nest::Time( nest::Time::ms( t_ref ) ).get_steps();
  }
};

inline void
check_time_constant( const double tau )
{
  if ( not( tau > 0 ) )
  {
    throw nest::BadProperty( "All time constants of synapses must be positive." );
  }
}

// A membrane with synapses that excite and synapses that inhibit.
struct TwoCurrents : Membrane
{
  double tau_ex = 2.0;
  double tau_in = 2.0;

  auto operator<=>( const TwoCurrents& ) const = default;

  void
  get( Dictionary& status ) const
  {
    Membrane::get( status );
    status[ nest::names::tau_syn_ex ] = tau_ex;
    status[ nest::names::tau_syn_in ] = tau_in;
  }

  double
  set( const Dictionary& status, nest::Node* node )
  {
    const double moved = Membrane::set( status, node );
    nest::update_value_param( status, nest::names::tau_syn_ex, tau_ex, node );
    nest::update_value_param( status, nest::names::tau_syn_in, tau_in, node );
    check_time_constant( tau_ex );
    check_time_constant( tau_in );
    return moved;
  }
};

// A membrane with synapses at ports, and a lowest potential.
struct PortedCurrents : Membrane
{
  std::array< double, PORTS > tau = { 2.0, 2.0, 2.0 };
  double v_min = -std::numeric_limits< double >::infinity();

  auto operator<=>( const PortedCurrents& ) const = default;

  void
  get( Dictionary& status ) const
  {
    Membrane::get( status );
    status[ nest::names::V_min ] = v_min + e_l;
    status[ nest::names::tau_syn ] = std::vector< double >( tau.begin(), tau.end() );
  }

  double
  set( const Dictionary& status, nest::Node* node )
  {
    const double moved = Membrane::set( status, node );
    v_min -= nest::update_value_param( status, nest::names::V_min, v_min, node ) ? e_l : moved;
    if ( std::isnan( v_min ) )
    {
      throw nest::BadProperty( "V_min must be a number." );
    }
    std::vector< double > wanted( tau.begin(), tau.end() );
    status.update_value( nest::names::tau_syn, wanted );
    if ( wanted.size() != PORTS )
    {
      throw nest::BadProperty( "tau_syn needs a time constant for each of three ports." );
    }
    std::for_each( wanted.begin(), wanted.end(), check_time_constant );
    std::copy_n( wanted.begin(), PORTS, tau.begin() );
    return moved;
  }
};

// Currents in pA, relative potential in mV.
struct AlphaCurrents
{
  using Parameters = TwoCurrents;
  using Inbox = SharedInbox;

  struct Propagators
  {
    double decay_ex, rise_ex, peak_ex, d_to_v_ex, i_to_v_ex;
    double decay_in, rise_in, peak_in, d_to_v_in, i_to_v_in;
    double input_to_v, leak;

    Propagators( const Parameters& p, const double h )
      : decay_ex( std::exp( -h / p.tau_ex ) )
      , rise_ex( h * decay_ex )
      , peak_ex( 1.0 * numerics::e / p.tau_ex )
      , decay_in( std::exp( -h / p.tau_in ) )
      , rise_in( h * decay_in )
      , peak_in( 1.0 * numerics::e / p.tau_in )
      , input_to_v( -p.tau_m / p.c_m * numerics::expm1( -h / p.tau_m ) )
      , leak( numerics::expm1( -h / p.tau_m ) )
    {
      std::tie( d_to_v_ex, i_to_v_ex ) = IAFPropagatorAlpha( p.tau_ex, p.tau_m, p.c_m ).evaluate( h );
      std::tie( d_to_v_in, i_to_v_in ) = IAFPropagatorAlpha( p.tau_in, p.tau_m, p.c_m ).evaluate( h );
    }
  };

  double v = 0.0;
  double input = 0.0;
  double i_ex = 0.0;
  double di_ex = 0.0;
  double i_in = 0.0;
  double di_in = 0.0;

  void
  step_membrane( const Propagators& p, const double i_e, const TwoCurrents& )
  {
    v = p.input_to_v * ( input + i_e ) + p.d_to_v_ex * di_ex + p.i_to_v_ex * i_ex + p.d_to_v_in * di_in
      + p.i_to_v_in * i_in + p.leak * v + v;
  }

  void
  step_synapses( const Propagators& p, const Arrival& arrival )
  {
    i_ex = p.rise_ex * di_ex + p.decay_ex * i_ex;
    di_ex *= p.decay_ex;
    di_ex += p.peak_ex * arrival.excitatory;
    i_in = p.rise_in * di_in + p.decay_in * i_in;
    di_in *= p.decay_in;
    di_in += p.peak_in * arrival.inhibitory;
  }
};

struct ExponentialCurrents
{
  using Parameters = TwoCurrents;
  using Inbox = SharedInbox;

  struct Propagators
  {
    double decay_ex, i_to_v_ex, decay_in, i_to_v_in, input_to_v, leak;

    Propagators( const Parameters& p, const double h )
      : decay_ex( std::exp( -h / p.tau_ex ) )
      , i_to_v_ex( IAFPropagatorExp( p.tau_ex, p.tau_m, p.c_m ).evaluate( h ) )
      , decay_in( std::exp( -h / p.tau_in ) )
      , i_to_v_in( IAFPropagatorExp( p.tau_in, p.tau_m, p.c_m ).evaluate( h ) )
      , leak( std::exp( -h / p.tau_m ) )
    {
      input_to_v = p.tau_m / p.c_m * ( 1.0 - leak );
    }
  };

  double v = 0.0;
  double input = 0.0;
  double i_ex = 0.0;
  double i_in = 0.0;

  void
  step_membrane( const Propagators& p, const double i_e, const TwoCurrents& )
  {
    v = v * p.leak + i_ex * p.i_to_v_ex + i_in * p.i_to_v_in + ( i_e + input ) * p.input_to_v;
  }

  void
  step_synapses( const Propagators& p, const Arrival& arrival )
  {
    i_ex *= p.decay_ex;
    i_in *= p.decay_in;
    i_ex += arrival.excitatory;
    i_in += arrival.inhibitory;
  }
};

struct PortCurrents
{
  using Parameters = PortedCurrents;
  using Inbox = OwnInbox;

  struct Propagators
  {
    struct Port
    {
      double decay, rise, peak, d_to_v, i_to_v;
    };

    std::array< Port, PORTS > ports;
    double leak, input_to_v;

    Propagators( const Parameters& p, const double h )
      : leak( std::exp( -h / p.tau_m ) )
      , input_to_v( 1 / p.c_m * ( 1 - leak ) * p.tau_m )
    {
      for ( size_t index = 0; index < PORTS; ++index )
      {
        Port& port = ports[ index ];
        const double tau = p.tau[ index ];
        port.decay = std::exp( -h / tau );
        port.rise = h * port.decay;
        port.peak = 1.0 * numerics::e / tau;
        std::tie( port.d_to_v, port.i_to_v ) = IAFPropagatorAlpha( tau, p.tau_m, p.c_m ).evaluate( h );
      }
    }
  };

  double v = 0.0;
  double input = 0.0;
  std::array< double, PORTS > i {};
  std::array< double, PORTS > di {};

  void
  step_membrane( const Propagators& p, const double i_e, const PortedCurrents& bounds )
  {
    v = p.input_to_v * ( input + i_e ) + p.leak * v;
    for ( size_t index = 0; index < PORTS; ++index )
    {
      v += p.ports[ index ].d_to_v * di[ index ] + p.ports[ index ].i_to_v * i[ index ];
    }
    v = v < bounds.v_min ? bounds.v_min : v;
  }

  void
  step_synapses( const Propagators& p, const PortArrival& arrival )
  {
    for ( size_t index = 0; index < PORTS; ++index )
    {
      const Propagators::Port& port = p.ports[ index ];
      i[ index ] = port.rise * di[ index ] + port.decay * i[ index ];
      di[ index ] *= port.decay;
      di[ index ] += port.peak * arrival.sums[ index ];
    }
  }
};

// Parameters, and what follows from them at a resolution of h ms.
template < typename Dynamics >
struct Kind
{
  using Parameters = typename Dynamics::Parameters;

  const Parameters parameters;
  const double h;
  const typename Dynamics::Propagators propagators;
  const int refractory_steps;

  Kind( const Parameters& p, const double step_ms )
    : parameters( p )
    , h( step_ms )
    , propagators( p, step_ms )
    , refractory_steps( p.refractory_steps() )
  {
  }
};

// The kinds that there are; they stay where they are as long as the process does.
template < typename Dynamics >
const Kind< Dynamics >*
kind_of( const typename Dynamics::Parameters& parameters )
{
  static std::mutex lock;
  static std::map< std::pair< typename Dynamics::Parameters, double >, std::unique_ptr< Kind< Dynamics > > > kinds;
  const std::lock_guard< std::mutex > guard( lock );
  const double h = nest::Time::get_resolution().get_ms();
  auto& kind = kinds[ { parameters, h } ];
  if ( not kind )
  {
    kind = std::make_unique< Kind< Dynamics > >( parameters, h );
  }
  return kind.get();
}

}

#endif

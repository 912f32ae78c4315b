package Idpay::Sim;

# The common part of the provider simulators. A simulator is a script that
# calls
#
#   Idpay::Sim->run(
#       handler => sub ($sim, $request) { return $answer },
#       act     => sub ($sim, $what) { return $data },    optional
#       begin   => sub ($sim, $request) { return $guard },    optional
#   );
#
# $request is an Idpay::Sim::Request, $answer a hash (see Idpay::Sim::Server).
# begin is told of each whole request, whoever answers it then; the guard is
# let go when the answer has been given, or the connection is closed.
# $sim->accepts($name, @values) tells whether there is exactly one value and
# whether it is one of those expected of the credential $name.
# Every request is recorded and counted before it is judged.
#
# It reads one JSON object on stdin: {"tls": {"cert", "key"} or null,
# "expect": {NAME: value or [values]}}, prints {"port", "control", "pid"} on
# stdout, and ends when stdin does. Started by hand, with a terminal or
# /dev/null on stdin, it speaks plain HTTP and expects nothing.
#
# The control listener, plain HTTP on a port of its own:
#   GET  /requests     recorded requests; raw and body are base64
#   GET  /connections  {"accepted", "handshakes", "bytes", "open"}
#   GET  /series       [[ms since the first request, requests], ...] for each
#                      100 ms, up to the last request
#   GET  /limit        {"accepted", "refused"} since the limit was set
#   POST /clear        forgets the requests, the series and what was counted,
#                      and counts on
#   POST /record       {"keep": 0 or 1}: whether requests are recorded
#   POST /count_by     {"header": NAME} or {"member": NAME of the JSON body}:
#                      {VALUE: requests} since it was first asked for. What is
#                      counted is requests that came whole, whatever became of
#                      them then
#   POST /limit        see Idpay::Sim::Limit; {} is none. A request that it
#                      refuses comes under no rule but the early ones
#   POST /misbehave    adds a rule; an empty object removes all rules
#   POST /release      {"number"}: so many of the answers held back are given,
#                      the first ones; all of them where it is not there
#   POST /expect       {NAME: value or [values]}, replaces what was expected
#   POST /act          what people and time do at the provider
#
# A rule of misbehaviour:
#   match       regular expression on the request target
#   times       how many requests it is for (1); -1: all
#   chance      acts on this share (0 to 1) of the requests that come to it,
#                   drawn from a sequence that is the same in each run and
#                   begins anew when the rules are removed
#   early       acts as soon as the request's head is there
#   status, headers [[name, value], ...], body (base64), body_size,
#   retry_after     an answer other than the provider's; headers alone are
#                   added to the provider's answer
#   acted       the provider acts on the request first; its answer is lost
#               where the rule gives another one or none. Without it such a
#               rule leaves the provider untouched, and any other lets it act
#   delay_ms    waits before it answers
#   hold        waits until the answers are released
#   trickle_ms  sends a byte each so many milliseconds
#   chunked     chunked framing
#   endless     a chunked body that ends when the peer closes
#   truncate    "mid_body": closes after half of the promised body
#   reset       "before_header", "mid_body": TCP RST
#   close       "no_answer"; "after_answer": closes without having said so
#   raw         exact bytes (base64), then close; keep: do not close

use Mojo::Base -base, -signatures;

use Idpay::Sim::Limit;
use Idpay::Sim::Server;
use Mojo::IOLoop;
use Mojo::IOLoop::Stream;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::Util qw(b64_decode secure_compare steady_time);
use Time::HiRes ();

# Records kept; a test that makes more requests counts connections instead.
use constant MAX_RECORDS => 20_000;

use constant { SLOT_MS => 100, SEED => 202_611_213 };

has [qw(handler act begin server first limit)];
has keep        => 1;
has random      => SEED;
has expect      => sub { {} };
has records     => sub { [] };
has rules       => sub { [] };
has slots       => sub { [] };
has counts      => sub { {} };
has held        => sub { [] };


sub run ($class, %how) {
    my $self    = $class->new(%how);
    my $options = $self->_options;

    $self->expect($options->{expect} // {});

    my $server = Idpay::Sim::Server->new(
        tls       => $options->{tls},
        early     => sub ($request) { $self->_early($request) },
        handler   => sub ($request) { $self->_answer($request) },
        on_record => sub ($request) { $self->_record($request) },
    );
    $self->server($server);

    my $control = Idpay::Sim::Server->new(
        handler => sub ($request) { $self->_control($request) });

    my %ready = (
        port    => $server->listen,
        control => $control->listen,
        pid     => $$,
    );
    local $| = 1;
    print encode_json(\%ready), "\n";

    Mojo::IOLoop->start;
    return;
}


# One line of options; after that, the end of stdin is the end of the run.
sub _options ($self) {
    return {} if -t STDIN || -c STDIN;

    my $line = <STDIN>;
    STDIN->blocking(0);

    my $stream = Mojo::IOLoop::Stream->new(\*STDIN);
    $stream->timeout(0);
    $stream->on(close => sub { Mojo::IOLoop->stop });
    $stream->start;
    $self->{stdin} = $stream;

    return decode_json($line // '{}');
}


sub accepts ($self, $name, @values) {
    return 0 if @values != 1;

    my $expected = $self->expect->{$name};
    return 1 if !defined $expected;

    return !!grep { secure_compare($values[0], $_) }
        ref $expected ? @$expected : $expected;
}


sub _record ($self, $request) {
    my $now   = steady_time;
    my $first = $self->first // $self->first($now)->first;

    $self->slots->[ ($now - $first) * 1000 / SLOT_MS ]++;
    $self->_count($request) if $request->done;
    return                  if !$self->keep;

    my $records = $self->records;
    push @$records, $request->record;
    shift @$records if @$records > MAX_RECORDS;
    return;
}


sub _count ($self, $request) {
    my ($headers, $members) = @{ $self->counts }{qw(header member)};

    for my $name (keys %{ $headers // {} }) {
        $headers->{$name}{$_}++ for $request->header($name);
    }
    return if !$members;

    my $json = $request->json;
    return if ref $json ne 'HASH';
    for my $name (grep { defined $json->{$_} } keys %$members) {
        $members->{$name}{ $json->{$name} }++;
    }
    return;
}


sub _answer ($self, $request) {
    my $begin  = $self->begin or return $self->_limited($request);
    my $guard  = $begin->($self, $request);
    my $answer = $self->_limited($request);

    return { %$answer, guard => $guard };
}


sub _limited ($self, $request) {
    my $limit = $self->limit or return $self->_judged($request);

    my $answer
        = $limit->admit(Time::HiRes::time())
        ? $self->_judged($request)
        : $limit->refusal;
    $answer->{headers}
        = [ @{ $answer->{headers} // [] }, @{ $limit->fields } ];
    return $answer;
}


sub _judged ($self, $request) {
    my $rule = $self->_rule($request, 0) or return $self->_own($request);
    return $self->_misbehave($request, $rule);
}


sub _early ($self, $request) {
    my $rule = $self->_rule($request, 1) or return;
    return $self->_misbehave($request, $rule);
}


sub _own ($self, $request) {
    return $self->handler->($self, $request);
}


sub _rule ($self, $request, $early) {
    for my $rule (@{ $self->rules }) {
        next if !$rule->{times} || !!$rule->{early} != !!$early;
        next if defined $rule->{match} && $request->target !~ $rule->{match};
        next if defined $rule->{chance} && $self->_draw >= $rule->{chance};

        $rule->{times}-- if $rule->{times} > 0;
        return $rule;
    }
    return;
}


# From 0 to less than 1. Not of rand, which others use too.
sub _draw ($self) {
    $self->random($self->random * 48_271 % 2_147_483_647);
    return $self->random / 2_147_483_647;
}


my @transport = qw(delay_ms trickle_ms chunked endless truncate reset close
    keep);


sub _misbehave ($self, $request, $rule) {
    my $own = $rule->{acted} && $self->_own($request);
    my %answer;

    if (defined $rule->{raw}) {
        $answer{raw} = b64_decode($rule->{raw});

    } elsif (grep { defined $rule->{$_} }
        qw(status body body_size retry_after endless))
    {
        $answer{status} = $rule->{status}
            // (defined $rule->{retry_after} ? 429 : 200);
        $answer{body} = b64_decode($rule->{body}) if defined $rule->{body};
        $answer{size} = $rule->{body_size}        if $rule->{body_size};

    } elsif (!grep { defined && /^(?:before_header|no_answer)$/ }
        @$rule{qw(reset close)})
    {
        %answer = %{ $own || $self->_own($request) };
    }

    $answer{headers} = [
        @{ $answer{headers} // [] },
        @{ $rule->{headers} // [] },
        defined $rule->{retry_after}
        ? [ 'Retry-After', $rule->{retry_after} ]
        : (),
    ];

    for (@transport) {
        $answer{$_} = $rule->{$_} if defined $rule->{$_};
    }
    $answer{hold} = sub ($begin) { push @{ $self->held }, $begin }
        if $rule->{hold};

    return \%answer;
}


my %control = (
    'GET /requests'    => sub ($self, $data) { $self->records },
    'GET /connections' => sub ($self, $data) {
        my $server = $self->server;
        return { map { $_ => $server->$_ + 0 }
                qw(accepted handshakes bytes open) };
    },
    'GET /series' => sub ($self, $data) {
        my $slots = $self->slots;
        return [ map { [ $_ * SLOT_MS, $slots->[$_] // 0 ] } 0 .. $#$slots ];
    },
    'GET /limit' => sub ($self, $data) {
        my $limit = $self->limit or die "there is no limit\n";
        return { map { $_ => $limit->$_ + 0 } qw(accepted refused) };
    },
    'POST /clear' => sub ($self, $data) {
        $self->records([])->slots([])->first(undef);
        %$_ = () for map { values %$_ } values %{ $self->counts };
        return {};
    },
    'POST /record' => sub ($self, $data) {
        $self->keep($data->{keep});
        return {};
    },
    'POST /count_by' => sub ($self, $data) {
        my ($kind, $name) = %$data;
        die "cannot count by $kind\n" if $kind !~ /^(?:header|member)$/;
        return $self->counts->{$kind}{$name} //= {};
    },
    'POST /limit' => sub ($self, $data) {
        $self->limit(%$data ? Idpay::Sim::Limit->new(%$data) : undef);
        return {};
    },
    'POST /expect' => sub ($self, $data) {
        $self->expect({ %{ $self->expect }, %$data });
        return {};
    },
    'POST /misbehave' => sub ($self, $data) {
        if (!%$data) {
            $self->rules([])->random(SEED);
            return {};
        }
        my %rule = (times => 1, %$data);
        die "nothing can act on half a request\n"
            if $rule{acted} && $rule{early};
        $rule{match} = qr/$rule{match}/ if defined $rule{match};
        push @{ $self->rules }, \%rule;
        return {};
    },
    'POST /release' => sub ($self, $data) {
        my $held = $self->held;
        $_->() for splice @$held, 0, $data->{number} // @$held;
        return {};
    },
    'POST /act' => sub ($self, $data) {
        my $act = $self->act or die "nothing to act on\n";
        return $act->($self, $data);
    },
);


sub _control ($self, $request) {
    my $what = $control{ $request->method . ' ' . $request->path };
    return { status => 404, json => {} } if !$what;

    my $answer = eval { $what->($self, $request->json // {}) };
    return { json => $answer } if defined $answer;
    return { status => 400, json => { error => "$@" } };
}


1;

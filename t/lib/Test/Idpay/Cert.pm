package Test::Idpay::Cert;

# Certificates of one test run, made in its directory. EC keys: an RSA key
# takes longer than the test.
#
#   my $certs = Test::Idpay::Cert->new($dir);
#   $certs->ca              path of the CA that the test trusts (PEM)
#   $certs->pair($variant)  (path of certificate, path of key); good, expired,
#                           self_signed, other_name or unknown_ca

use strict;
use warnings;

use IO::Socket::SSL::Utils;

my @names = map {"$_.test"}
    qw(plusid passportreader plasmapay plaid gopay generic);

use constant DAY => 86_400;


sub new {
    my ($class, $dir) = @_;
    return bless { dir => $dir, pairs => {} }, $class;
}


sub ca {
    my $self = shift;

    $self->_authority('good');
    return "$self->{dir}/ca.pem";
}


sub pair {
    my ($self, $variant) = @_;

    my $pair = $self->{pairs}{$variant} //= $self->_make($variant);
    return @$pair;
}


sub _make {
    my ($self, $variant) = @_;

    my %how = (
        good        => { issuer => $self->_authority('good') },
        expired     => { issuer => $self->_authority('good'), days => -2 },
        self_signed => {},
        other_name  => {
            issuer => $self->_authority('good'),
            names  => ['elsewhere.test'],
        },
        unknown_ca => { issuer => $self->_authority('unknown') },
    );
    my $how   = $how{$variant} or die "no certificate variant $variant";
    my $names = $how->{names} // \@names;

    my ($cert, $key) = CERT_create(
        subject         => { commonName => $names->[0] },
        subjectAltNames => [ map { [ DNS => $_ ] } @$names ],
        key             => KEY_create_ec(),
        purpose         => 'server',
        not_before      => time - 10 * DAY,
        not_after       => time + ($how->{days} // 10) * DAY,
        $how->{issuer} ? (issuer => $how->{issuer}) : (),
    );

    my @paths = map {"$self->{dir}/$variant.$_"} qw(crt key);
    PEM_cert2file($cert, $paths[0]);
    PEM_key2file($key, $paths[1]);
    chmod 0600, $paths[1];

    return \@paths;
}


sub _authority {
    my ($self, $which) = @_;

    return $self->{authority}{$which} //= do {
        my ($cert, $key) = CERT_create(
            CA         => 1,
            subject    => { commonName => "idpay test CA ($which)" },
            key        => KEY_create_ec(),
            not_before => time - 10 * DAY,
            not_after  => time + 10 * DAY,
        );
        PEM_cert2file($cert, "$self->{dir}/ca.pem") if $which eq 'good';
        [ $cert, $key ];
    };
}


1;
